/* Runs a benchmark's rounds, checks each result, says so on the UART, and powers off by the test finisher. */
#include "bench.h"

#define UART ((volatile u8 *)0x10000000)
#define FINISHER ((volatile u32 *)0x100000)
#define FINISHER_PASS 0x5555u
#define FINISHER_FAIL 0x3333u

volatile u64 bench_rounds = 1;
volatile u64 bench_pages = 8192;

static void put(const char *text)
{
    while (*text)
        *UART = (u8)*text++;
}

static void put_hex(u64 value)
{
    put("0x");
    for (int shift = 60; shift >= 0; shift -= 4)
        *UART = (u8)"0123456789abcdef"[value >> shift & 15];
}

static void finish(u32 code)
{
    *FINISHER = code;
    for (;;)
        ;
}

void trapped(u64 cause, u64 pc)
{
    put(name);
    put(": trap, mcause ");
    put_hex(cause);
    put(" mepc ");
    put_hex(pc);
    put("\n");
    finish(1 << 16 | FINISHER_FAIL);
}

void run(void)
{
    u64 rounds = bench_rounds, result = 0;
    prepare();
    for (u64 i = 0; i < rounds; i++) {
        result = work();
        if (result != expected)
            break;
    }
    put(name);
    put(result == expected ? ": ok, result " : ": wrong, result ");
    put_hex(result);
    put("\n");
    finish(result == expected ? FINISHER_PASS : 1 << 16 | FINISHER_FAIL);
}
