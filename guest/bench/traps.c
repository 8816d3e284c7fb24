/* A storm of traps: U-mode calls M-mode by ecall, which reads mcause, swaps mscratch twice, moves mepc and returns;
   after each, a few CSRs are read and written from M-mode. */
#include "bench.h"

const char name[] = "traps";
u64 expected = 0;

enum { CALLS = 100000 };

static u64 calls(void)
{
    u64 sum = 0;
    for (u64 i = 0; i < CALLS; i++) {
        register u64 a0 asm("a0") = sum;
        register u64 a7 asm("a7") = i & 7;
        asm volatile("ecall" : "+r"(a0) : "r"(a7) : "t0", "t1", "memory");
        sum = a0;
    }
    return sum;
}

static u64 csrs(void)
{
    u64 sum = 0;
    for (u64 i = 0; i < CALLS; i++) {
        csr_write(mscratch, i);
        sum += csr_read(mscratch);
        csr_set(mie, 1ul << 3);
        sum += csr_read(mie) >> 3 & 1;
        csr_clear(mie, 1ul << 3);
        csr_write(sepc, i * 4);
        sum += csr_read(sepc);
    }
    return sum;
}

void prepare(void)
{
    for (u64 i = 0; i < CALLS; i++)
        expected += (i & 7) + i + 1 + i * 4;
}

u64 work(void) { return call_below(calls, MODE_U) + csrs(); }
