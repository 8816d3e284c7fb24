#include "user.h"

void print_bytes(const char *text, size_t length) { write(1, text, length); }

_Noreturn void exit(int status)
{
    for (;;)
        system_call(SYS_EXIT, (u64)status, 0, 0);
}

_Noreturn void poweroff(void)
{
    for (;;)
        system_call(SYS_POWEROFF, 0, 0, 0);
}

static void *pointer(i64 result) { return result < 0 ? NULL : (void *)result; }

void *sbrk(i64 bytes) { return pointer(system_call(SYS_SBRK, (u64)bytes, 0, 0)); }

void *map(u64 bytes, int prot) { return pointer(system_call(SYS_MAP, bytes, (u64)prot, 0)); }

u64 read_all(int fd, void *buffer, u64 bytes)
{
    u64 done = 0;
    while (done < bytes) {
        i64 count = read(fd, (u8 *)buffer + done, bytes - done);
        if (count <= 0)
            break;
        done += (u64)count;
    }
    return done;
}

void move_descriptor(int fd, int target)
{
    if (fd == target)
        return;
    close(target);
    dup(fd); /* takes the lowest free one; all below `target` are in use here */
    close(fd);
}

const char *status_name(int status)
{
    static const char *const causes[] = {
        [0] = "instruction address misaligned", [1] = "instruction access fault", [2] = "illegal instruction",
        [3] = "breakpoint",  [4] = "load address misaligned",  [5] = "load access fault",
        [6] = "store address misaligned", [7] = "store access fault", [12] = "instruction page fault",
        [13] = "load page fault", [15] = "store page fault",
    };
    if (status == STATUS_KILLED)
        return "killed";
    u64 cause = (u64)status - STATUS_FAULT;
    return cause < LENGTH(causes) && causes[cause] ? causes[cause] : "unknown status";
}
