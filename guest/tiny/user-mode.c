/* Down to U-mode and up again. There is no paging, so the program shares all memory with us; what it may not
   touch is the CSRs. It tells what it finds by ecall, its numbers in a0 and a1. */
#include "tiny.h"

enum { CALL_ADD, CALL_DONE };

static u64 sum, calls, illegal;

static u64 call(u64 number, u64 value)
{
    register u64 a0 asm("a0") = number;
    register u64 a1 asm("a1") = value;
    asm volatile("ecall" : "+r"(a0) : "r"(a1) : "memory");
    return a0;
}

static void program(void)
{
    u64 total = 0;
    for (u64 i = 1; i <= 1000; i++)
        total = call(CALL_ADD, i);
    asm volatile("csrr t0, sstatus\n csrw sscratch, zero\n csrr t0, cycle\n sfence.vma\n sret" ::: "t0", "memory");
    call(CALL_DONE, total);
}

static void handle(struct trap *trap, u64 cause, u64 value)
{
    trap->x[0] += 4; /* ecall and the illegal instructions above all have 4 bytes */
    if (cause == CAUSE_ILLEGAL_INSTRUCTION) {
        illegal++;
        return;
    }
    if (cause != CAUSE_ECALL_FROM_U) {
        printf("user-mode: scause %lx, stval %lx\n", cause, value);
        sbi_poweroff();
    }
    calls++;
    if (trap->x[10] == CALL_DONE) {
        printf("user-mode: %lu calls, sum %lu, %lu illegal instructions\n", calls, trap->x[11], illegal);
        sbi_poweroff();
    }
    sum += trap->x[11];
    trap->x[10] = sum;
}

void main(void)
{
    static _Alignas(16) u8 stack[4096];
    on_trap(handle);
    csr_write(scounteren, 0);
    csr_clear(sstatus, SSTATUS_SPP);
    csr_write(sepc, program);
    asm volatile("mv sp, %0\n sret" ::"r"(stack + sizeof stack));
}
