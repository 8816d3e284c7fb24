/* Who runs: round robin over the process table. A process gives way in schedule(), which returns when
   its turn comes again; when nobody can run, the boot stack's idle loop does. */
#include "kernel.h"

struct process *current; /* NULL while idle */
static struct context idle;
static u64 last; /* index of the process that ran last */

static struct process *pick(void)
{
    for (u64 i = 1; i <= PROCESS_MAX; i++) {
        struct process *process = &processes[(last + i) % PROCESS_MAX];
        if (process->state == READY)
            return process;
    }
    return NULL;
}

void schedule(void)
{
    struct process *previous = current, *next = pick();
    if (next == previous)
        return;
    if (next) {
        last = (u64)(next - processes);
        space_switch(&next->space); /* the idle loop stays in the space it finds */
    }
    current = next;
    stats.switches++;
    swap_context(previous ? &previous->context : &idle, next ? &next->context : &idle);
}

void block(const void *reason)
{
    current->reason = reason;
    current->state = BLOCKED;
    schedule();
}

void wake(const void *reason)
{
    for (int i = 0; i < PROCESS_MAX; i++)
        if (processes[i].state == BLOCKED && processes[i].reason == reason)
            processes[i].state = READY;
}

_Noreturn void schedule_start(void)
{
    current = NULL;
    for (;;) {
        schedule();
        wfi(); /* ends when an enabled interrupt is pending, though we do not take interrupts here... */
        csr_set(sstatus, SSTATUS_SIE); /* ...but here, so none can slip in between schedule and wfi */
        csr_clear(sstatus, SSTATUS_SIE);
    }
}
