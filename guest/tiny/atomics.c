/* Atomics at the borders: what keeps a reservation and what loses it, and addresses that are not aligned. */
#include "tiny.h"

static u64 words[2];

static u64 load_reserved(u64 *at)
{
    u64 value;
    asm volatile("lr.d %0, (%1)" : "=r"(value) : "r"(at) : "memory");
    return value;
}

static bool store_conditional(u64 *at, u64 value)
{
    u64 failed;
    asm volatile("sc.d %0, %2, (%1)" : "=r"(failed) : "r"(at), "r"(value) : "memory");
    return !failed;
}

static void tell(const char *what, bool is_right) { printf("%-44s %s\n", what, is_right ? "yes" : "no"); }

static void tell_trap(const char *what)
{
    printf("%-44s scause %lu, stval is %s\n", what, caught.cause,
           caught.value == (u64)words + 4 ? "the address" : "something else");
}

void main(void)
{
    catch_traps();
    load_reserved(&words[0]);
    tell("sc after lr stores", store_conditional(&words[0], 1) && words[0] == 1);
    tell("a second sc stores", store_conditional(&words[0], 2) || words[0] == 2);
    load_reserved(&words[0]);
    tell("sc to another address stores", store_conditional(&words[1], 3) || words[1] == 3);
    tell("and lets one to the first store afterwards", store_conditional(&words[0], 4));

    u64 old;
    words[0] = 0x80000000;
    asm volatile("amomax.w %0, %2, (%1)" : "=r"(old) : "r"(words), "r"(5ul) : "memory");
    tell("amomax.w compares 32-bit signed numbers", words[0] == 5 && old == 0xffffffff80000000);
    words[0] = ~0ul;
    asm volatile("amoadd.w %0, %2, (%1)" : "=r"(old) : "r"(words), "r"(1ul) : "memory");
    tell("amoadd.w leaves the upper word alone", words[0] == 0xffffffff00000000);
    asm volatile("amoswap.d.aqrl %0, %2, (%1)" : "=r"(old) : "r"(words), "r"(7ul) : "memory");
    tell("amoswap.d swaps", words[0] == 7 && old == 0xffffffff00000000);

    char *odd = (char *)words + 4;
    TRAPS("lr.d t0, (%0)" ::"r"(odd) : "t0", "memory");
    tell_trap("lr.d at a multiple of 4");
    TRAPS("amoadd.d t0, zero, (%0)" ::"r"(odd) : "t0", "memory");
    tell_trap("amoadd.d at a multiple of 4");

    u64 counter = 0;
    for (int i = 0; i < 1000; i++)
        do
            words[0] = load_reserved(&counter);
        while (!store_conditional(&counter, words[0] + 1));
    tell("1000 increments make 1000", counter == 1000);
}
