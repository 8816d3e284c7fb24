/* What a program may use: the system calls (see abi.h for what they do) and a little library. */
#pragma once
#include "abi.h"
#include "print.h"
#include "string.h"

static inline i64 system_call(u64 number, u64 x, u64 y, u64 z)
{
    register u64 a0 asm("a0") = x;
    register u64 a1 asm("a1") = y;
    register u64 a2 asm("a2") = z;
    register u64 a7 asm("a7") = number;
    asm volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
    return (i64)a0;
}

_Noreturn void exit(int status);
static inline int fork(void) { return (int)system_call(SYS_FORK, 0, 0, 0); }
static inline int exec(const char *name, char *const argv[])
{
    return (int)system_call(SYS_EXEC, (u64)name, (u64)argv, 0);
}
static inline int wait(int *status) { return (int)system_call(SYS_WAIT, (u64)status, 0, 0); }
static inline int kill(int pid) { return (int)system_call(SYS_KILL, (u64)pid, 0, 0); }
static inline int getpid(void) { return (int)system_call(SYS_GETPID, 0, 0, 0); }
static inline void yield(void) { system_call(SYS_YIELD, 0, 0, 0); }
static inline void sleep(u64 ticks) { system_call(SYS_SLEEP, ticks, 0, 0); }
static inline u64 uptime(void) { return (u64)system_call(SYS_UPTIME, 0, 0, 0); }
/* NULL on failure, as map does. */
void *sbrk(i64 bytes);
void *map(u64 bytes, int prot);
static inline int unmap(void *at, u64 bytes) { return (int)system_call(SYS_UNMAP, (u64)at, bytes, 0); }
static inline int protect(void *at, u64 bytes, int prot)
{
    return (int)system_call(SYS_PROTECT, (u64)at, bytes, (u64)prot);
}
static inline int open(const char *name) { return (int)system_call(SYS_OPEN, (u64)name, 0, 0); }
static inline int close(int fd) { return (int)system_call(SYS_CLOSE, (u64)fd, 0, 0); }
static inline int dup(int fd) { return (int)system_call(SYS_DUP, (u64)fd, 0, 0); }
static inline i64 read(int fd, void *buffer, u64 bytes)
{
    return system_call(SYS_READ, (u64)fd, (u64)buffer, bytes);
}
static inline i64 write(int fd, const void *buffer, u64 bytes)
{
    return system_call(SYS_WRITE, (u64)fd, (u64)buffer, bytes);
}
static inline int pipe(int fds[2]) { return (int)system_call(SYS_PIPE, (u64)fds, 0, 0); }
static inline int list(u64 index, struct file_info *info)
{
    return (int)system_call(SYS_LIST, index, (u64)info, 0);
}
static inline i64 ps(struct process_info *info, u64 room) { return system_call(SYS_PS, (u64)info, room, 0); }
static inline void get_stats(struct stats *stats) { system_call(SYS_STATS, (u64)stats, 0, 0); }
_Noreturn void poweroff(void);

/* Read exactly `bytes`, unless the file ends before: the number read. */
u64 read_all(int fd, void *buffer, u64 bytes);
/* Make `fd` stand where `target` does, and close it. */
void move_descriptor(int fd, int target);
/* Why a process ended, for an exit status of 128 or more. */
const char *status_name(int status);
