# The clock and the timers that compare with it: the CLINT's mtimecmp, and with Sstc stimecmp and vstimecmp (privileged manual,
# "Supervisor Timer Register", "Virtual Supervisor Timer Register").  Each drives its bit of h.lines, exactly at its step.

cdef inline u64 mtime_at(HartState* h, u64 steps) noexcept nogil:
    return steps / h.steps_per_tick + h.mtime_offset


cdef inline u64 steps_now(HartState* h) noexcept nogil:
    """The step clock outside the handlers."""
    return h.stop - <u64>h.left


cdef inline u64 cycles_at(HartState* h, u64 steps) noexcept nogil:
    return steps - h.idle_steps


cdef inline u64 retired_at(HartState* h, u64 steps) noexcept nogil:
    return steps - h.idle_steps - h.guest_traps


cdef inline bint supervisor_timer_on(HartState* h) noexcept nogil:
    """While menvcfg.STCE is set, STIP is stimecmp's alone."""
    return h.csr[CSR_MENVCFG] & MENVCFG_STCE != 0


cdef inline bint guest_timer_on(HartState* h) noexcept nogil:
    """While henvcfg.STCE is set, VSTIP is vstimecmp's besides hvip's.  (It is zero wherever menvcfg.STCE is.)"""
    return h.csr[CSR_HENVCFG] & HENVCFG_STCE != 0


cdef void timer_update(HartState* h) noexcept nogil:
    """Bring the timers' pending bits, and the performance counters, up to date with the clock."""
    cdef u64 time = mtime_at(h, steps_now(h))
    drive(h, IRQ_MTI, h.mtimecmp != EVERY_BIT and time >= h.mtimecmp)
    drive(h, IRQ_STI, supervisor_timer_on(h) and time >= h.csr[CSR_STIMECMP])
    drive(h, IRQ_VSTI, guest_timer_on(h) and time + h.csr[CSR_HTIMEDELTA] >= h.csr[CSR_VSTIMECMP])
    if h.hpm_running:
        hpm_update(h, steps_now(h))


cdef u64 step_of_change(HartState* h, u64 now, u64 offset, u64 compare) noexcept nogil:
    """The first step after `now` at which `ticks + offset >= compare`, truncated to 64 bits, changes; 2**64 - 1 if that is too far off."""
    cdef u64 ticks = now / h.steps_per_tick
    cdef u64 time = ticks + offset
    cdef u64 wait = compare - time if time < compare else -time     # where it holds, until the sum wraps
    if time >= compare and (compare == 0 or time == 0):
        return EVERY_BIT
    if wait > (EVERY_BIT >> 1) / h.steps_per_tick - ticks:
        return EVERY_BIT
    return (ticks + wait) * h.steps_per_tick


cdef u64 next_timer(HartState* h, u64 now, u64 interrupts) noexcept nogil:
    """The first step after `now` at which a timer among `interrupts` (bits of mip) changes its pending bit, or 2**64 - 1."""
    cdef u64 first = EVERY_BIT, step
    if interrupts >> IRQ_MTI & 1 and h.mtimecmp != EVERY_BIT:
        first = step_of_change(h, now, h.mtime_offset, h.mtimecmp)
    if interrupts >> IRQ_STI & 1 and supervisor_timer_on(h):
        step = step_of_change(h, now, h.mtime_offset, h.csr[CSR_STIMECMP])
        first = step if step < first else first
    if interrupts >> IRQ_VSTI & 1 and guest_timer_on(h):
        step = step_of_change(h, now, h.mtime_offset + h.csr[CSR_HTIMEDELTA], h.csr[CSR_VSTIMECMP])
        first = step if step < first else first
    return first


cdef void timers_changed(HartState* h) noexcept nogil:
    """After a write to what the timers compare: the run loop looks at them, and for the next event, before the next instruction."""
    if supervisor_timer_on(h):
        h.csr[CSR_MIP] &= ~<u64>SIP_STIP
    h.timers_moved = True
    h.irq_check = True


cdef int timer_check(HartState* h, u32 number) noexcept nogil:
    """May a mode below M access stimecmp or vstimecmp?  (menvcfg.STCE and mcounteren.TM, henvcfg.STCE and hcounteren.TM)"""
    if not supervisor_timer_on(h) or not h.csr[CSR_MCOUNTEREN] & MCOUNTEREN_TM:
        return CSR_ILLEGAL
    if h.virtual and number == CSR_STIMECMP and not (guest_timer_on(h) and h.csr[CSR_HCOUNTEREN] & MCOUNTEREN_TM):
        return CSR_VIRTUAL
    return CSR_OK
