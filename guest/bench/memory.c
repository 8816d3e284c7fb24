/* Memory: a chase of pointers through twice as many pages as the hart's translation caches hold, a sieve, and copies.
   PARTS selects: 1 the chase, 2 the sieve, 4 the copies. */
#include "bench.h"

#ifndef PARTS
#define PARTS 7
#endif

const char name[] = "memory";
u64 expected = 0;

/* ---------------------------------------------------------------- the chase */

enum { LINE = 64, LINES_PER_PAGE = 64, STEPS = (1 << 21) - 8 };

/* Every page holds one pointer, each in a line of another number, to the page that a random cycle has next. */
static u64 *place(u64 page)
{
    return (u64 *)(free_start + page * PAGE_SIZE + page * 29 % LINES_PER_PAGE * LINE);
}

static void chase_prepare(void)
{
    u64 n = bench_pages, seed = 1;
    u32 *order = (u32 *)(free_start + n * PAGE_SIZE);
    for (u64 i = 0; i < n; i++)
        order[i] = (u32)i;
    for (u64 i = n - 1; i > 0; i--) { /* Sattolo's shuffle: one cycle through all */
        u64 j = random_next(&seed) % i;
        u32 kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
    for (u64 i = 0; i < n; i++)
        *place(order[i]) = (u64)place(order[(i + 1) % n]);
    u64 at = STEPS % n, start = 0;
    while (order[start] != 0)
        start++;
    expected += order[(start + at) % n] + 1;
}

static u64 chase(void)
{
    u64 *at = place(0);
    for (int i = 0; i < STEPS; i += 8) {
        at = (u64 *)*at;
        at = (u64 *)*at;
        at = (u64 *)*at;
        at = (u64 *)*at;
        at = (u64 *)*at;
        at = (u64 *)*at;
        at = (u64 *)*at;
        at = (u64 *)*at;
    }
    return ((u64)at - (u64)free_start) / PAGE_SIZE + 1;
}

/* ---------------------------------------------------------------- the sieve */

enum { LIMIT = 1000000, PRIMES = 78498 };

static u8 composite[LIMIT];

static u64 sieve(void)
{
    u64 count = 0;
    memset(composite, 0, sizeof(composite));
    for (u64 i = 2; i < LIMIT; i++) {
        if (composite[i])
            continue;
        count++;
        for (u64 j = i * i; j < LIMIT; j += i)
            composite[j] = 1;
    }
    return count;
}

/* ---------------------------------------------------------------- the copies */

enum { BYTES = 2 << 20 };

static u64 from[BYTES / 8], to[BYTES / 8];

static void copy_prepare(void)
{
    u64 seed = 2;
    for (u64 i = 0; i < LENGTH(from); i++)
        from[i] = random_next(&seed) << 31 ^ random_next(&seed);
    for (u64 i = 0; i < 64; i++)
        expected += from[i * 4095];
}

static u64 copies(void)
{
    u64 sum = 0;
    for (int i = 0; i < 2; i++) {
        memcpy(to, from, BYTES);
        memmove((u8 *)to + 64, to, BYTES - 64);
        memcpy(to, from, BYTES);
    }
    for (u64 i = 0; i < 64; i++)
        sum += to[i * 4095];
    return sum;
}

void prepare(void)
{
    if (PARTS & 1)
        chase_prepare();
    if (PARTS & 2)
        expected += PRIMES;
    if (PARTS & 4)
        copy_prepare();
}

u64 work(void)
{
    return (PARTS & 1 ? chase() : 0) + (PARTS & 2 ? sieve() : 0) + (PARTS & 4 ? copies() : 0);
}
