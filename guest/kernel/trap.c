/* What to do about a trap. */
#include "kernel.h"

void trap_init(void)
{
    csr_write(sscratch, 0); /* in the kernel */
    csr_write(stvec, trap_vector);
}

static bool answer_page_fault(u64 cause)
{
    u64 va = csr_read(stval);
    stats.page_faults++;
    switch (cause) {
    case CAUSE_FETCH_PAGE_FAULT:
        return space_fault(&current->space, va, ACCESS_FETCH);
    case CAUSE_LOAD_PAGE_FAULT:
        return space_fault(&current->space, va, ACCESS_LOAD);
    case CAUSE_STORE_PAGE_FAULT:
        return space_fault(&current->space, va, ACCESS_STORE);
    default:
        return false;
    }
}

/* A trap from a program; called by trap.S. */
void user_trap(struct trapframe *frame, u64 cause)
{
    if (cause == CAUSE_ECALL_FROM_U) {
        stats.system_calls++;
        frame->x[X_PC] += 4; /* go on after the ecall */
        system_call(frame);
    } else if (cause == IRQ_S_TIMER) {
        stats.interrupts++;
        clock_interrupt();
        schedule(); /* preemption */
    } else if (!answer_page_fault(cause)) {
        process_exit(STATUS_FAULT + (i32)cause);
    }
    if (current->is_killed)
        process_exit(STATUS_KILLED);
}

/* A trap from the kernel itself; called by trap.S. */
void kernel_trap(struct trapframe *frame, u64 cause)
{
    if (cause == IRQ_S_TIMER) {
        stats.interrupts++;
        clock_interrupt();
        return;
    }
    stats.kernel_faults++;
    bool is_page_fault = cause == CAUSE_LOAD_PAGE_FAULT || cause == CAUSE_STORE_PAGE_FAULT;
    if (is_page_fault && is_user_copy_fault(frame, cause))
        return;
    printf("tern: trap in the kernel: scause %lx, sepc %lx, stval %lx\n", cause, frame->x[X_PC], csr_read(stval));
    panic("the kernel is broken");
}
