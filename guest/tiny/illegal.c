/* What S-mode may not do, and how the hart says so: scause, and the instruction's bits in stval. The machine that
   runs this has no H extension and no F extension in use. */
#include "tiny.h"

static const struct {
    const char *text;
    u32 bits;
} cases[] = {
    {"c.unimp (zero)", 0x00000000},
    {"all ones", 0xffffffff},
    {"csrr t0, mstatus", 0x300022f3},
    {"csrw mstatus, t0", 0x30029073},
    {"csrr t0, mhartid", 0xf14022f3},
    {"csrw cycle, t0", 0xc0029073},
    {"csrrs t0, cycle, t1", 0xc00322f3},
    {"csrr t0, hstatus", 0x600022f3},
    {"csrr t0, vsstatus", 0x200022f3},
    {"csrr t0, 0x5ff", 0x5ff022f3},
    {"mret", 0x30200073},
    {"hfence.gvma", 0x62000073},
    {"hlv.d t0, (sp)", 0x6c0142f3},
    {"sfence.vma, rd=t0", 0x120002f3},
    {"fadd.d f0, f0, f0", 0x02000053},
    {"addi with funct of none", 0x0000705b},
};

static u32 code[2];

void main(void)
{
    catch_traps();
    csr_clear(sstatus, 3ul << 13); /* FS off: floating point is illegal too */
    u64 wrong = 0;
    for (u64 i = 0; i < LENGTH(cases); i++) {
        code[0] = cases[i].bits;
        code[1] = 0x00008067; /* ret */
        fence_i();
        caught = (struct caught){0};
        ((void (*)(void))code)();
        /* A 16-bit instruction has only its own bits in stval. */
        u64 expected = (cases[i].bits & 3) == 3 ? cases[i].bits : cases[i].bits & 0xffff;
        bool is_right = caught.count > 0 && caught.cause == CAUSE_ILLEGAL_INSTRUCTION && caught.value == expected;
        wrong += !is_right;
        printf("%-24s scause %lu stval %08lx%s\n", cases[i].text, caught.cause, caught.value,
               is_right ? "" : "  wrong");
    }
    caught = (struct caught){0};
    asm volatile(".balign 4\n ebreak");
    /* The manual leaves it to the hart whether stval tells the breakpoint's address. */
    bool is_right = caught.cause == CAUSE_BREAKPOINT && (caught.value == caught.pc || caught.value == 0);
    wrong += !is_right;
    printf("%-24s scause %lu stval is %s%s\n", "ebreak", caught.cause, caught.value ? "its pc" : "zero",
           is_right ? "" : "  wrong");
    printf("illegal: %lu wrong\n", wrong);
}
