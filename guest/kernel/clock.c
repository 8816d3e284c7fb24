/* The timer: preemption, sleeping processes, and a look at the console's input, `hertz` times a second. */
#include "kernel.h"

static u64 interval, deadline; /* in ticks of the time CSR */
static u64 ticks;              /* timer interrupts that were due since boot */

void clock_init(u64 timebase, u64 hertz)
{
    interval = timebase / hertz ? timebase / hertz : 1;
    deadline = csr_read(time) + interval;
    sbi_set_timer(deadline);
    csr_write(sie, SIP_STIP);
}

void clock_interrupt(void)
{
    u64 now = csr_read(time);
    do {
        deadline += interval;
        ticks++;
    } while (deadline <= now);
    sbi_set_timer(deadline); /* which also takes the interrupt back */
    for (int i = 0; i < PROCESS_MAX; i++)
        if (processes[i].state == BLOCKED && processes[i].reason == &ticks && processes[i].wake_tick <= ticks)
            processes[i].state = READY;
    console_poll();
}

void clock_sleep(u64 duration)
{
    current->wake_tick = ticks + duration;
    while (ticks < current->wake_tick && !current->is_killed)
        block(&ticks);
}

u64 clock_ticks(void) { return ticks; }
