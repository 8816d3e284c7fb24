/* What a benchmark is: one piece of work, always the same, done `bench_rounds` times. */
#pragma once
#include "riscv.h"
#include "string.h"
#include "types.h"

/* Of the benchmark: what happens once before the rounds, one round's result, and what that must be. Where the work
   depends on `bench_pages`, `expected` is computed by other means in `prepare`. */
void prepare(void);
u64 work(void);
extern u64 expected;
extern const char name[];

/* Parameters that whoever runs the image may change in it before it starts. */
extern volatile u64 bench_rounds;
extern volatile u64 bench_pages; /* how many pages to touch, a power of two */

/* RAM behind the image, from a page's start: as much as the machine has, 0x80000000 on. */
extern u8 free_start[];

#define MODE_U 0ul
#define MODE_S (1ul << 8)
#define MODE_VS (MODE_S | 1ul << 7)
u64 call_below(u64 (*work)(void), u64 mode);

/* The next number of a small generator, good enough to defeat any prediction (Knuth's MMIX constants). */
static inline u64 random_next(u64 *state)
{
    *state = *state * 6364136223846793005ul + 1442695040888963407ul;
    return *state >> 33;
}
