# The hardware performance monitor (machine chapter, "Hardware Performance Monitor"; "Sscofpmf").  A counter's CSR holds its value as
# of the last time it was brought up to date: when it is written, when what it counts changes, when the mode does, and when it
# overflows, which ends a stretch of running exactly at its step as a timer does.
#
# hpm_armed     counters that have an event and are not inhibited: while there are none, all of this costs nothing
# hpm_running   those of them that count in the present mode
# hpm_base      the count of each event when the counters were last up to date

cdef inline u64 hpm_count(HartState* h, u64 event, u64 steps) noexcept nogil:
    """How often the event has occurred since the hart began."""
    if event == EVENT_CYCLES:
        return cycles_at(h, steps)
    if event == EVENT_INSTRUCTIONS:
        return retired_at(h, steps)
    return h.guest_traps


cdef inline u64 hpm_event(HartState* h, u32 i) noexcept nogil:
    return h.csr[CSR_MHPMEVENT3 - HPM_FIRST + i] & MHPMEVENT3_EVENT


cdef inline bint is_hpm_counter(u32 number) noexcept nogil:
    """mhpmcounter3 to 31, hpmcounter3 to 31."""
    return (number & ~<u32>31 == CSR_MCYCLE or number & ~<u32>31 == CSR_CYCLE) and number & 31 >= HPM_FIRST


cdef inline bint is_hpm_event(u32 number) noexcept nogil:
    return number & ~<u32>31 == CSR_MCOUNTINHIBIT and number & 31 >= HPM_FIRST


cdef u64 hpm_value(HartState* h, u32 i, u64 steps) noexcept nogil:
    """Counter i at a step of the clock."""
    cdef u64 value = h.csr[CSR_MCYCLE + i]
    cdef u64 event
    if h.hpm_running >> i & 1:
        event = hpm_event(h, i)
        value += hpm_count(h, event, steps) - h.hpm_base[event]
    return value


cdef void hpm_rebase(HartState* h, u64 steps) noexcept nogil:
    cdef u64 event
    for event in range(EVENT_CYCLES, EVENT_TRAPS + 1):
        h.hpm_base[event] = hpm_count(h, event, steps)


cdef void hpm_update(HartState* h, u64 steps) noexcept nogil:
    """Bring the counters up to date; one that has wrapped while its OF was clear sets OF and asks for the interrupt."""
    cdef u64 value, running = h.hpm_running
    cdef u32 i, event
    while running:
        i = trailing_zeros(running)
        running &= running - 1
        value = hpm_value(h, i, steps)
        event = CSR_MHPMEVENT3 - HPM_FIRST + i
        if value < h.csr[CSR_MCYCLE + i] and h.enabled[EXT_SSCOFPMF] and not h.csr[event] & MHPMEVENT3_OF:
            h.csr[event] |= MHPMEVENT3_OF
            h.csr[CSR_MIP] |= MIP_LCOFIP
            h.irq_check = True
        h.csr[CSR_MCYCLE + i] = value
    hpm_rebase(h, steps)


cdef u64 hpm_next(HartState* h, u64 now) noexcept nogil:
    """A step after `now` before which no counter overflows, or 2**64 - 1; for cycles the very step. No event occurs twice in a step."""
    cdef u64 first = EVERY_BIT, wait
    cdef u32 i
    hpm_update(h, now)
    if not h.enabled[EXT_SSCOFPMF]:
        return first
    for i in range(HPM_FIRST, HPM_END):
        wait = -h.csr[CSR_MCYCLE + i]
        if h.hpm_running >> i & 1 and wait != 0 and wait < EVERY_BIT >> 1 and now + wait < first \
                and not h.csr[CSR_MHPMEVENT3 - HPM_FIRST + i] & MHPMEVENT3_OF:
            first = now + wait
    return first


cdef void hpm_select(HartState* h) noexcept nogil:
    """Choose the counters that run, of those that are armed, after a change of mode or of what they count."""
    cdef u64 inhibit = MHPMEVENT3_MINH
    cdef u32 i
    if h.privilege == S_MODE:
        inhibit = MHPMEVENT3_VSINH if h.virtual else MHPMEVENT3_SINH
    elif h.privilege == U_MODE:
        inhibit = MHPMEVENT3_VUINH if h.virtual else MHPMEVENT3_UINH
    h.hpm_armed = h.hpm_running = 0
    for i in range(HPM_FIRST, HPM_END):
        if hpm_event(h, i) - EVENT_CYCLES <= EVENT_TRAPS - EVENT_CYCLES and not h.csr[CSR_MCOUNTINHIBIT] >> i & 1:
            h.hpm_armed |= <u64>1 << i
            if not h.csr[CSR_MHPMEVENT3 - HPM_FIRST + i] & inhibit:
                h.hpm_running |= <u64>1 << i
    h.timers_moved = True           # the run loop looks for the next overflow before the next instruction
    h.irq_check = True


cdef inline void hpm_mode_changed(HartState* h) noexcept nogil:
    """After a change of privilege or V outside the handlers, what led there included: it counts in the mode that was left."""
    if h.hpm_armed:
        hpm_update(h, steps_now(h))
        hpm_select(h)


cdef void hpm_write(HartState* h, u32 number, u64 value, u64 mask, u64 steps_after) noexcept nogil:
    """A counter or an event selector; the write takes effect after its instruction has been counted ("CSR Instructions")."""
    hpm_update(h, steps_after)
    csr_mask_write(h, number, value, mask)
    hpm_select(h)


cdef u64 overflows_read(HartState* h) noexcept nogil:
    """scountovf: the OF bits, where the counters themselves may be read ("Supervisor Count Overflow (scountovf) Register")."""
    cdef u64 bits = 0
    cdef u32 i
    for i in range(HPM_FIRST, HPM_END):
        bits |= (h.csr[CSR_MHPMEVENT3 - HPM_FIRST + i] >> MHPMEVENT3_OF_SHIFT) << i
    if h.privilege != M_MODE:
        bits &= h.csr[CSR_MCOUNTEREN]
    if h.virtual:
        bits &= h.csr[CSR_HCOUNTEREN]
    return bits
