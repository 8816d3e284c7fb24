/* What the RISC-V manuals name and C does not: CSR access, their fields, trap causes, Sv39 entries. */
#pragma once
#include "types.h"

#define csr_read(csr) ({ u64 value_; asm volatile("csrr %0, " #csr : "=r"(value_)::"memory"); value_; })
#define csr_write(csr, value) asm volatile("csrw " #csr ", %0" ::"rK"((u64)(value)) : "memory")
#define csr_set(csr, bits) asm volatile("csrs " #csr ", %0" ::"rK"((u64)(bits)) : "memory")
#define csr_clear(csr, bits) asm volatile("csrc " #csr ", %0" ::"rK"((u64)(bits)) : "memory")

/* sstatus (privileged manual, supervisor CSRs) */
#define SSTATUS_SIE (1ul << 1)
#define SSTATUS_SPIE (1ul << 5)
#define SSTATUS_SPP (1ul << 8)
#define SSTATUS_SUM (1ul << 18)
#define SSTATUS_MXR (1ul << 19)

/* sie and sip */
#define SIP_SSIP (1ul << 1)
#define SIP_STIP (1ul << 5)
#define SIP_SEIP (1ul << 9)

/* scause */
#define CAUSE_INTERRUPT (1ul << 63)
#define IRQ_S_SOFT (CAUSE_INTERRUPT | 1)
#define IRQ_S_TIMER (CAUSE_INTERRUPT | 5)
#define IRQ_S_EXTERNAL (CAUSE_INTERRUPT | 9)
enum {
    CAUSE_FETCH_ACCESS = 1,
    CAUSE_ILLEGAL_INSTRUCTION = 2,
    CAUSE_BREAKPOINT = 3,
    CAUSE_LOAD_MISALIGNED = 4,
    CAUSE_LOAD_ACCESS = 5,
    CAUSE_STORE_MISALIGNED = 6,
    CAUSE_STORE_ACCESS = 7,
    CAUSE_ECALL_FROM_U = 8,
    CAUSE_FETCH_PAGE_FAULT = 12,
    CAUSE_LOAD_PAGE_FAULT = 13,
    CAUSE_STORE_PAGE_FAULT = 15,
};

/* Sv39 page-table entries (privileged manual, page-based 39-bit virtual-memory system) */
typedef u64 pte_t;
enum {
    PTE_V = 1 << 0,
    PTE_R = 1 << 1,
    PTE_W = 1 << 2,
    PTE_X = 1 << 3,
    PTE_U = 1 << 4,
    PTE_G = 1 << 5,
    PTE_A = 1 << 6,
    PTE_D = 1 << 7,
    PTE_RSW = 1 << 8, /* the first of the two bits that the hardware leaves to the kernel */
    PTE_LEAF = PTE_R | PTE_W | PTE_X,
};
#define PAGE_SIZE 4096ul
#define MEGAPAGE_SIZE (512 * PAGE_SIZE)
#define GIGAPAGE_SIZE (512 * MEGAPAGE_SIZE)
#define SATP_SV39 (8ul << 60)

static inline pte_t pte_of(u64 pa, u64 bits) { return pa >> 12 << 10 | bits; }
static inline u64 pte_address(pte_t pte) { return (pte << 10 >> 20) << 12; }
/* The 9 bits of `va` that index the table of `level` (2 is the root). */
static inline u64 pte_index(u64 va, int level) { return va >> (12 + 9 * level) & 511; }

static inline void wfi(void) { asm volatile("wfi" ::: "memory"); }
static inline void fence_i(void) { asm volatile("fence.i" ::: "memory"); }

/* Page-table fences. -DNO_FENCES builds a kernel that forgets every one of them. */
#ifdef NO_FENCES
static inline void sfence_all(void) { asm volatile("" ::: "memory"); }
static inline void sfence_page(u64 va) { asm volatile("" ::"r"(va) : "memory"); }
#else
static inline void sfence_all(void) { asm volatile("sfence.vma" ::: "memory"); }
static inline void sfence_page(u64 va) { asm volatile("sfence.vma %0" ::"r"(va) : "memory"); }
#endif
