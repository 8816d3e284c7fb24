# Interrupts: what is pending, what is taken, and where it goes (machine chapter, "Machine Interrupt Registers"; hypervisor chapter).

cdef extern from *:
    """
    #define SUPERVISOR_IRQS (SIP_SSIP | SIP_STIP | SIP_SEIP | SIP_LCOFIP)
    #define VS_IRQS ((SIP_SSIP | SIP_STIP | SIP_SEIP) << 1)
    #define HYPERVISOR_IRQS (VS_IRQS | HIP_SGEIP)
    """
    const u64 SUPERVISOR_IRQS
    const u64 VS_IRQS
    const u64 HYPERVISOR_IRQS

cdef enum:
    VS_TARGET = U_MODE          # h.fault_target of a trap to VS-mode: never hosted


cdef inline u64 pending_bits(HartState* h) noexcept nogil:
    """mip as it reads now."""
    return h.csr[CSR_MIP] | h.lines | h.csr[CSR_HVIP] & VS_IRQS


cdef inline void deliver(HartState* h, u64 cause, u64 target) noexcept nogil:
    """Leave an interrupt waiting, to be taken in its target mode under this number."""
    h.fault_cause = cause
    h.fault_target = target
    h.fault_interrupt = True
    h.fault_tval = 0
    h.fault_guest = False
    h.fault_implicit = False
    h.fault_gva = False
    h.fault_insn = 0
    h.event = EVENT_TRAP


cdef void drive(HartState* h, int interrupt, bint level) noexcept nogil:
    cdef u64 before = h.lines
    h.lines = (before & ~(<u64>1 << interrupt)) | (<u64>level << interrupt)
    if h.lines != before:
        h.irq_check = True
        if h.trace != NULL:
            trace_wire(h, interrupt, level)


cdef bint take_pending(HartState* h) noexcept nogil:
    """Choose the interrupt to take now, if any, and leave it in h.fault_* (machine chapter, "Machine Interrupt Registers", and
    hypervisor chapter: MEI, MSI, MTI, SEI, SSI, STI, SGEI, VSEI, VSSI, VSTI, LCOFI)."""
    cdef u64 pending = pending_bits(h) & h.csr[CSR_MIE]
    cdef u64 status = h.csr[CSR_MSTATUS]
    cdef u64 at_m, at_s, at_vs, chosen
    h.irq_check = False
    if h.aia:
        return take_advanced(h)
    if pending == 0:
        return False
    at_m = pending & ~h.csr[CSR_MIDELEG]
    at_s = pending & h.csr[CSR_MIDELEG]
    at_vs = at_s & h.csr[CSR_HIDELEG] if h.has_h else 0
    at_s &= ~at_vs
    if at_m and (h.privilege < M_MODE or status & MSTATUS_MIE):
        deliver(h, first_of(at_m), M_MODE)
    elif at_s and (h.privilege < S_MODE or h.virtual or (h.privilege == S_MODE and status & MSTATUS_SIE)):
        deliver(h, first_of(at_s), S_MODE)
    elif at_vs and h.virtual and (h.privilege < S_MODE or h.csr[CSR_VSSTATUS] & MSTATUS_SIE):
        chosen = first_of(at_vs)
        if chosen != IRQ_LCOFI:                 # VS-level interrupts arrive under the supervisor's numbers
            chosen -= 1
        deliver(h, chosen, VS_TARGET)
    else:
        return False
    return True


cdef u64 first_of(u64 chosen) noexcept nogil:
    """The interrupt of highest priority among pending bits."""
    if chosen >> IRQ_MEI & 1: return IRQ_MEI
    if chosen >> IRQ_MSI & 1: return IRQ_MSI
    if chosen >> IRQ_MTI & 1: return IRQ_MTI
    if chosen >> IRQ_SEI & 1: return IRQ_SEI
    if chosen >> IRQ_SSI & 1: return IRQ_SSI
    if chosen >> IRQ_STI & 1: return IRQ_STI
    if chosen >> IRQ_SGEI & 1: return IRQ_SGEI
    if chosen >> IRQ_VSEI & 1: return IRQ_VSEI
    if chosen >> IRQ_VSSI & 1: return IRQ_VSSI
    if chosen >> IRQ_VSTI & 1: return IRQ_VSTI
    return <u64>trailing_zeros(chosen)
