/* What the tiny guests share, besides lib/: a trap vector with a C handler, and page tables of one's own. */
#pragma once
#include "print.h"
#include "riscv.h"
#include "sbi.h"
#include "string.h"

/* Registers at a trap: x[n] is register xn, x[0] is the pc. The handler may change them all. */
struct trap {
    u64 x[32];
};

/* Have `handler` called at each trap, on the stack of whoever was interrupted. */
void on_trap(void (*handler)(struct trap *trap, u64 cause, u64 value));

/* The last trap that catch_traps' handler has seen. */
struct caught {
    u64 count, cause, pc, value;
};
extern struct caught caught;

/* Note every trap in `caught`, and go on after the instruction; after a fetch that failed, at ra. */
void catch_traps(void);

/* Whether `instruction` (assembly with the operands %0..., as in extended asm) traps. */
#define TRAPS(...)                      \
    ({                                  \
        u64 before_ = caught.count;     \
        asm volatile(__VA_ARGS__);      \
        caught.count != before_;        \
    })

/* Map one page or, at level 1 or 2, a larger one; tables come from a small pool. A and D are set. */
void map_page(pte_t *root, u64 gva, u64 gpa, u64 bits, int level);
pte_t *find_pte(pte_t *root, u64 gva);
/* A new root that maps the guest's own GiB of RAM at its own address. */
pte_t *new_root(void);
void use_root(const pte_t *root); /* NULL: paging off */
