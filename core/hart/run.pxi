# The run loop: what happens between blocks.  Handlers come back here for whatever is not straight-line execution.

cdef void set_stop(HartState* h, u64 now) noexcept nogil:
    """Run from `now` to the end of the budget, or to the next timer event or counter overflow if that comes first."""
    cdef u64 timer = next_timer(h, now, EVERY_BIT), overflow
    if h.hpm_running:
        overflow = hpm_next(h, now)
        timer = overflow if overflow < timer else timer
    h.stop = h.budget_end if h.budget_end <= timer else timer
    if h.trace != NULL:
        trace_bound(h, now)
    h.left = <i64>(h.stop - now)


cdef bint reports_sleep(HartState* h, u64 now) noexcept nogil:
    """Whether this WFI has yet to be told to the host, as no timer is near; from now on it has been."""
    if not h.reports_idle or h.idle_reported or next_timer(h, now, h.csr[CSR_MIE]) - now < h.reports_idle:
        return False
    h.idle_reported = True
    return True


cdef bint sleep(HartState* h) noexcept nogil:
    """WFI: skip the clock to the next timer event, or to the end of the budget. False if nothing will ever wake the hart, or if the
    host wants to know first."""
    cdef u64 now = steps_now(h), wake, enabled = pending_bits(h) & h.csr[CSR_MIE]
    if enabled or (h.aia and is_roused(h)):
        # What only VS-mode can take ends every WFI below it at once: a loop around this one idles without sleeping.
        if enabled and not h.virtual and not enabled & ~h.csr[CSR_HIDELEG] and reports_sleep(h, now):
            return False
        h.waiting = False
        h.idle_reported = False
        h.irq_check = True
        return True
    wake = next_timer(h, now, h.csr[CSR_MIE])
    if wake == EVERY_BIT:
        h.idle_reported = False
        return False
    if reports_sleep(h, now):
        return False
    if wake > h.budget_end:
        wake = h.budget_end
    h.idle_steps += wake - now
    h.stop = wake
    h.left = 0
    return True


cdef bint at_breakpoint(HartState* h) noexcept nogil:
    cdef int i
    if h.pc == h.reported_pc and steps_now(h) == h.reported_step:
        return False
    for i in range(h.n_breakpoints):
        if h.breakpoints[i] == h.pc:
            return True
    return False


cdef int run_loop(HartState* h) noexcept nogil:
    """Run until the budget is used up or something has to be told; returns the reason."""
    cdef Block* b
    cdef u64 now
    cdef bint traced
    now = h.steps
    set_stop(h, now)
    timer_update(h)
    guard_reservations(h)
    h.host_fit = host_is_ieee()
    float_update(h)
    h.irq_check = True              # an interrupt that its host left pending is told again
    h.link_from = NULL
    if h.until_kind:
        h.until_before = until_value(h)
    while True:
        if h.event == EVENT_NONE:
            if h.mem.hit.waits:
                return REASON_WATCHPOINT
            if h.until_kind and until_value(h) != h.until_before:
                return REASON_CHANGED
        if h.timers_moved:
            h.timers_moved = False
            set_stop(h, steps_now(h))
            timer_update(h)
        if h.left == 0:
            now = h.stop
            if now == h.budget_end:
                return REASON_BUDGET
            set_stop(h, now)
            timer_update(h)
            continue
        if h.event == EVENT_TRAP:
            h.link_from = NULL
            hit_placed_here(h)
            if take_trap(h):
                return REASON_TRAP
            continue
        elif h.event == EVENT_MMIO:
            h.event = EVENT_NONE
            hit_placed_here(h)
            return REASON_MMIO
        if h.waiting:
            h.link_from = NULL
            if not sleep(h):
                return REASON_IDLE if h.idle_reported else REASON_WFI
            if h.waiting:
                continue
        if h.irq_check and take_pending(h):
            continue
        if h.n_breakpoints and at_breakpoint(h):
            h.reported_pc = h.pc
            h.reported_step = steps_now(h)
            return REASON_BREAKPOINT
        if h.breaking and break_on_fetch(h):
            continue
        traced = h.trace != NULL and trace_steps(h)
        b = block_find(h, traced or steps_here(h))
        if b == NULL:
            continue
        if <i64>b.n > h.left or h.mem.hit.waits:       # a fetch that set A is the next instruction's own
            h.link_from = NULL
            hit_place(h, h.pc)
            b = block_find(h, True)
            if b == NULL:
                continue
        if h.link_from != NULL:
            if b != &h.scratch:
                h.link_from[0] = b
            h.link_from = NULL
        if traced:
            trace_begin(h, op_bits(h, ops_of(b)))
        ops_of(b).run(h, ops_of(b), h.left - b.n)
        if traced and h.left == 0:      # it retired: it was the only one to the next stop
            trace_commit(h, EVERY_BIT)
