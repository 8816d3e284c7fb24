/* crash [null|text|illegal|stack]: end by a fault of that kind. */
#include "user.h"

static u64 overflow(u64 depth)
{
    volatile u64 hole[64];
    hole[0] = depth;
    return depth == 0 ? 0 : overflow(depth - 1) + hole[0];
}

int main(int argc, char *argv[])
{
    const char *kind = argc > 1 ? argv[1] : "null";
    if (!strcmp(kind, "text"))
        *(volatile u32 *)USER_PROGRAM = 0;
    else if (!strcmp(kind, "illegal"))
        asm volatile("csrr zero, sstatus");
    else if (!strcmp(kind, "stack"))
        return (int)overflow(100000);
    else
        *(volatile u32 *)8;
    return 0;
}
