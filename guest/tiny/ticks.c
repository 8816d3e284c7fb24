/* Ten timer interrupts, a thousandth of a second apart, asleep in between. */
#include "fdt.h"
#include "tiny.h"

static struct board board;
static volatile u64 ticks;
static u64 deadline;

static void handle(struct trap *trap, u64 cause, u64 value)
{
    if (cause != IRQ_S_TIMER) {
        printf("ticks: scause %lx, sepc %lx, stval %lx\n", cause, trap->x[0], value);
        sbi_poweroff();
    }
    ticks++;
    deadline += board.timebase / 1000;
    sbi_set_timer(deadline);
}

void main(u64 hart, const void *fdt)
{
    (void)hart;
    if (!fdt_read(fdt, &board))
        printf("ticks: no device tree\n");
    on_trap(handle);
    deadline = csr_read(time) + board.timebase / 1000;
    sbi_set_timer(deadline);
    csr_write(sie, SIP_STIP);
    for (u64 seen = 0; seen < 10;) {
        wfi(); /* interrupts are off here, so none is missed between the test and the sleep */
        csr_set(sstatus, SSTATUS_SIE);
        csr_clear(sstatus, SSTATUS_SIE);
        for (; seen < ticks && seen < 10; seen++)
            printf("tick %lu\n", seen + 1);
    }
}
