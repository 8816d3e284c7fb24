#include "sbi.h"
#include "riscv.h"

struct sbi_result sbi_call(u64 extension, u64 function, u64 arg0, u64 arg1, u64 arg2)
{
    register u64 a0 asm("a0") = arg0;
    register u64 a1 asm("a1") = arg1;
    register u64 a2 asm("a2") = arg2;
    register u64 a6 asm("a6") = function;
    register u64 a7 asm("a7") = extension;
    asm volatile("ecall" : "+r"(a0), "+r"(a1) : "r"(a2), "r"(a6), "r"(a7) : "memory");
    return (struct sbi_result){(i64)a0, (i64)a1};
}

bool sbi_has(u64 extension)
{
    struct sbi_result probe = sbi_call(SBI_BASE, 3, extension, 0, 0);
    return probe.error == 0 && probe.value != 0;
}

/* Probing is a call into the firmware too, so each extension is asked for once. */
static bool has(u64 extension, i32 *known)
{
    if (*known == 0)
        *known = sbi_has(extension) ? 1 : -1;
    return *known > 0;
}

static i32 has_time, has_console;

void sbi_set_timer(u64 deadline)
{
    if (has(SBI_TIME, &has_time))
        sbi_call(SBI_TIME, 0, deadline, 0, 0);
    else
        sbi_call(SBI_LEGACY_SET_TIMER, 0, deadline, 0, 0);
}

_Noreturn void sbi_poweroff(void)
{
    if (sbi_has(SBI_SRST))
        sbi_call(SBI_SRST, 0, 0, 0, 0);
    sbi_call(SBI_LEGACY_SHUTDOWN, 0, 0, 0, 0);
    for (;;)
        wfi();
}

void sbi_write(const char *text, size_t length)
{
    if (has(SBI_DBCN, &has_console)) {
        while (length > 0) {
            struct sbi_result written = sbi_call(SBI_DBCN, 0, length, (u64)text, 0);
            if (written.error != 0)
                return;
            text += written.value;
            length -= written.value;
        }
        return;
    }
    for (size_t i = 0; i < length; i++)
        sbi_call(SBI_LEGACY_PUTCHAR, 0, (u8)text[i], 0, 0);
}

int sbi_getchar(void)
{
    static char byte;
    if (has(SBI_DBCN, &has_console)) {
        struct sbi_result read = sbi_call(SBI_DBCN, 1, 1, (u64)&byte, 0);
        return read.error == 0 && read.value == 1 ? (u8)byte : -1;
    }
    return (int)sbi_call(SBI_LEGACY_GETCHAR, 0, 0, 0, 0).error;
}
