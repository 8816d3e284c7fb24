/* Code that rewrites itself: `addi a0, a0, n` with another n each time, and fence.i before it runs. */
#include "tiny.h"

enum { ROUNDS = 2000 };

static u32 code[2] = {0x00050513, 0x00008067}; /* addi a0, a0, 0; ret */

void main(void)
{
    u64 (*run)(u64) = (void *)code;
    u64 value = 0, expected = 0;
    for (u64 i = 0; i < ROUNDS; i++) {
        *(volatile u32 *)code = 0x00050513 | (u32)(i & 0x7ff) << 20;
        fence_i();
        value = run(value);
        expected += i & 0x7ff;
    }
    printf("selfmod: %d rewritings, sum %lu, %s\n", ROUNDS, value, value == expected ? "right" : "wrong");
}
