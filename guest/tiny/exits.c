/* Something of everything that may leave a guest, a few times each: CSRs, SBI calls, address spaces, page
   faults, illegal instructions, devices, timer interrupts, WFI. */
#include "tiny.h"

enum { TIMES = 8 };
#define UART_LSR 0x10000005ul
#define BASE 0x40000000ul

static _Alignas(PAGE_SIZE) volatile u64 page[512];
static volatile u64 interrupts;

static void handle(struct trap *trap, u64 cause, u64 value)
{
    caught = (struct caught){caught.count + 1, cause, trap->x[0], value};
    if (cause == IRQ_S_TIMER) {
        interrupts++;
        sbi_set_timer(~0ul);
    } else {
        trap->x[0] += (*(const u16 *)trap->x[0] & 3) == 3 ? 4 : 2;
    }
}

void main(void)
{
    on_trap(handle);
    pte_t *root = new_root();
    u64 faults = 0, illegal = 0;
    for (u64 i = 0; i < TIMES; i++) {
        csr_write(sscratch, i);
        csr_set(sstatus, SSTATUS_SUM);
        csr_clear(sstatus, SSTATUS_SUM);
        sbi_call(SBI_BASE, 0, 0, 0, 0);

        (void)*(volatile u8 *)UART_LSR; /* the device is reachable while paging is off */
        u64 gva = BASE + i * PAGE_SIZE;
        use_root(root);
        faults += TRAPS("ld t0, (%0)" ::"r"(gva) : "t0", "memory");
        map_page(root, gva, (u64)page, PTE_R | PTE_W, 0);
        sfence_page(gva);
        *(volatile u64 *)gva += i;
        use_root(NULL);

        illegal += TRAPS("csrr t0, mstatus" ::: "t0");
        sbi_set_timer(csr_read(time) + 1000);
        csr_write(sie, SIP_STIP);
        for (u64 before = interrupts; interrupts == before;) {
            wfi();
            csr_set(sstatus, SSTATUS_SIE);
            csr_clear(sstatus, SSTATUS_SIE);
        }
    }
    printf("exits: %lu page faults, %lu illegal instructions, %lu timer interrupts, sum %lu\n", faults, illegal,
           interrupts, page[0]);
}
