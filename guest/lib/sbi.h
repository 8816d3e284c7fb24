/* Calls into the firmware (SBI specification): the newest extension it has, else the legacy call. */
#pragma once
#include "types.h"

enum {
    SBI_BASE = 0x10,
    SBI_TIME = 0x54494d45, /* "TIME" */
    SBI_SRST = 0x53525354, /* "SRST" */
    SBI_DBCN = 0x4442434e, /* "DBCN" */
    SBI_LEGACY_SET_TIMER = 0,
    SBI_LEGACY_PUTCHAR = 1,
    SBI_LEGACY_GETCHAR = 2,
    SBI_LEGACY_SHUTDOWN = 8,
};

struct sbi_result {
    i64 error; /* a legacy call's only result is here */
    i64 value;
};

struct sbi_result sbi_call(u64 extension, u64 function, u64 arg0, u64 arg1, u64 arg2);
bool sbi_has(u64 extension);
/* Ask for a timer interrupt when `time` reaches the deadline (in timebase ticks). */
void sbi_set_timer(u64 deadline);
_Noreturn void sbi_poweroff(void);
/* Write all bytes to the firmware's console; `text` must be mapped at its physical address. */
void sbi_write(const char *text, size_t length);
/* The next byte typed at the console, or -1 if there is none now. */
int sbi_getchar(void);
