# Which interrupt a mode takes, on a hart with the Advanced Interrupt Architecture: software may give major interrupts priorities among
# the external ones, and a level may make interrupts for the one below (AIA, "Interrupts for Machine and Supervisor Levels",
# "Interrupts for Virtual Machines").  Nothing here runs on a hart without it.

cdef extern from *:
    """
    #define LOCAL_IRQS (~0x1FFFULL)     /* interrupts 13 to 63: hideleg, hvien and mvien treat them alike */
    """
    const u64 LOCAL_IRQS

cdef enum:
    LEAST_URGENT = 0x10000      # beyond the priority number of any external interrupt
    NO_CONTROLLER = 256         # the number of an external interrupt that software made
    PRIORITY_MAX = 255
    M_ARRAY = 0
    S_ARRAY = 1

cdef u8 RANK[64]                # an interrupt's place in the default order, 0 the most urgent
cdef u8 HVIPRIO_IRQ[16]         # whose priorities the bytes of hviprio1 and hviprio2 are


cdef int load_interrupt_tables() except -1:
    for i, rank in enumerate(hart_tables.interrupt_ranks()):
        RANK[i] = rank
    for i, number in enumerate(hart_tables.hviprio_interrupts()):
        HVIPRIO_IRQ[i] = number
    return 0


# ---------------------------------------------------------------- what each level sees

cdef inline u64 virtual_irqs(HartState* h) noexcept nogil:
    """The interrupts of S-mode that are M-mode's to make: not delegated, but enabled in mvien."""
    return h.csr[CSR_MVIEN] & ~h.csr[CSR_MIDELEG]


cdef inline u64 sip_bits(HartState* h) noexcept nogil:
    return pending_bits(h) & h.csr[CSR_MIDELEG] & SUPERVISOR_IRQS | h.csr[CSR_MVIP] & virtual_irqs(h)


cdef inline u64 sie_bits(HartState* h) noexcept nogil:
    return h.csr[CSR_MIE] & h.csr[CSR_MIDELEG] & SUPERVISOR_IRQS | h.csr[CSR_SIE] & virtual_irqs(h)


cdef inline u64 hideleg_bits(HartState* h) noexcept nogil:
    """What S-mode does not get it cannot pass on."""
    return h.csr[CSR_HIDELEG] & (h.csr[CSR_MIDELEG] | h.csr[CSR_MVIEN])


cdef inline u64 delegated_locals(HartState* h) noexcept nogil:
    """The bits of vsip and vsie that are those of sip and sie."""
    return hideleg_bits(h) & LOCAL_IRQS


cdef inline u64 guests_locals(HartState* h) noexcept nogil:
    """The bits of vsip and vsie that are HS-mode's to make."""
    return h.csr[CSR_HVIEN] & ~hideleg_bits(h) & LOCAL_IRQS


cdef inline u64 vsip_bits(HartState* h) noexcept nogil:
    return (pending_bits(h) & hideleg_bits(h) & VS_IRQS) >> 1 | sip_bits(h) & delegated_locals(h) | h.csr[CSR_HVIP] & guests_locals(h)


cdef inline u64 vsie_bits(HartState* h) noexcept nogil:
    return (h.csr[CSR_MIE] & hideleg_bits(h) & VS_IRQS) >> 1 | sie_bits(h) & delegated_locals(h) | h.csr[CSR_VSIE] & guests_locals(h)


# ---------------------------------------------------------------- the most urgent

cdef inline u64 urgency(u64 number, bint above) noexcept nogil:
    """A place in the order of a level: its priority number or, without one, before or behind all that have one."""
    return number if number else 0 if above else LEAST_URGENT


cdef u64 most_urgent(u64 candidates, const u8* numbers, u64 external, u64 external_number, u64* place) noexcept nogil:
    """The candidate to take first, and its place; `external` is the level's external interrupt, whose number its controller gave."""
    cdef u64 best = EVERY_BIT, irq, own, number
    while candidates:
        irq = trailing_zeros(candidates)
        candidates &= candidates - 1
        number = external_number if irq == external else numbers[irq]
        own = urgency(number, RANK[irq] < RANK[external])
        if own << 16 | <u64>RANK[irq] << 8 | irq < best:
            best = own << 16 | <u64>RANK[irq] << 8 | irq
    place[0] = best >> 16
    return best & 63


cdef inline u64 top(u64 irq, u64 place) noexcept nogil:
    """mtopi, stopi or vstopi; a place beyond 255 reads as 255."""
    return irq << MTOPI_IID_SHIFT | (place if place < PRIORITY_MAX else PRIORITY_MAX)


cdef u64 level_top(HartState* h, u64 candidates, int array, u64 external, int file) noexcept nogil:
    """mtopi or stopi.  Without an IMSIC priorities cannot be set, as no number comes with an external interrupt; IPRIO is 1 then, as the
    specification allows ("Machine top interrupt CSR (mtopi)")."""
    cdef u64 place = 0, irq, number
    if candidates == 0:
        return 0
    number = file_top(&h.files[file]) if h.lines >> external & 1 else NO_CONTROLLER
    irq = most_urgent(candidates, h.iprio[array], external, number, &place)
    return top(irq, place if h.n_files else 1)


cdef u64 machine_top(HartState* h) noexcept nogil:
    return level_top(h, pending_bits(h) & h.csr[CSR_MIE] & ~h.csr[CSR_MIDELEG], M_ARRAY, IRQ_MEI, M_FILE)


cdef u64 supervisor_top(HartState* h) noexcept nogil:
    cdef u64 candidates = sip_bits(h) & sie_bits(h)
    if h.has_h:
        candidates |= pending_bits(h) & h.csr[CSR_MIE] & HYPERVISOR_IRQS
        candidates &= ~hideleg_bits(h)
    return level_top(h, candidates, S_ARRAY, IRQ_SEI, S_FILE)


cdef u64 guest_external(HartState* h) noexcept nogil:
    """The priority number of VS-mode's external interrupt, which is pending ("Virtual supervisor top interrupt CSR (vstopi)")."""
    cdef u64 control = h.csr[CSR_HVICTL], number
    cdef int file = guests_file(h)
    if file != NO_FILE:
        number = file_top(&h.files[file])
        return number if number else NO_CONTROLLER
    if (control & HVICTL_IID) >> HVICTL_IID_SHIFT == IRQ_SEI and control & HVICTL_IPRIO:
        return control & HVICTL_IPRIO
    return NO_CONTROLLER


cdef u64 guest_top(HartState* h) noexcept nogil:
    """vstopi.  hvictl may put an interrupt of its own in the place of all but the external one."""
    cdef u64 candidates = vsip_bits(h) & vsie_bits(h), control = h.csr[CSR_HVICTL]
    cdef u64 made = (control & HVICTL_IID) >> HVICTL_IID_SHIFT, place = EVERY_BIT, irq = 0, own, number, i
    cdef bint takes_over = control & HVICTL_VTI != 0, less_urgent = control & HVICTL_DPR != 0
    cdef u8 numbers[64]
    if takes_over:
        candidates &= SIP_SEIP
    if candidates:
        memset(numbers, 0, sizeof(numbers))
        for i in range(16):
            number = h.csr[CSR_HVIPRIO1 if i < 8 else CSR_HVIPRIO2]
            numbers[HVIPRIO_IRQ[i]] = number >> 8 * (i & 7) & PRIORITY_MAX
        irq = most_urgent(candidates, numbers, IRQ_SEI, guest_external(h) if candidates & SIP_SEIP else 0, &place)
    if takes_over and made != IRQ_SEI:
        own = urgency(control & HVICTL_IPRIO, not less_urgent)
        if own < place or (own == place and not less_urgent):
            irq = made
            place = own
    elif candidates == 0:
        return 0
    return top(irq, place if control & HVICTL_IPRIOM else 1)


# ---------------------------------------------------------------- taking it

cdef bint take_advanced(HartState* h) noexcept nogil:
    """`take_pending` of such a hart: what mtopi, stopi and vstopi show is what their levels take."""
    cdef u64 chosen = machine_top(h)
    if chosen and (h.privilege < M_MODE or h.csr[CSR_MSTATUS] & MSTATUS_MIE):
        deliver(h, chosen >> MTOPI_IID_SHIFT, M_MODE)
        return True
    chosen = supervisor_top(h)
    if chosen and (h.privilege < S_MODE or h.virtual or (h.privilege == S_MODE and h.csr[CSR_MSTATUS] & MSTATUS_SIE)):
        deliver(h, chosen >> MTOPI_IID_SHIFT, S_MODE)
        return True
    if not h.virtual or (h.privilege == S_MODE and not h.csr[CSR_VSSTATUS] & MSTATUS_SIE):
        return False
    chosen = guest_top(h)
    if chosen:
        deliver(h, chosen >> MTOPI_IID_SHIFT, VS_TARGET)
        return True
    return False


cdef bint is_roused(HartState* h) noexcept nogil:
    """Does something pending end WFI?  ("WFI (Wait for Interrupt) instruction")"""
    return machine_top(h) != 0 or supervisor_top(h) != 0 or (h.has_h and guest_top(h) != 0)
