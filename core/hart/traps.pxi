# Exceptions, interrupts, delegation and trap entry and return (privileged manual, "Traps" of the machine, supervisor and
# hypervisor chapters).

cdef void raise_exception(HartState* h, u64 cause, u64 tval) noexcept nogil:
    """Leave an exception waiting; facts that only a translation knows were left in h.fault_* by the walk."""
    h.event = EVENT_TRAP
    h.fault_interrupt = False
    h.fault_cause = cause
    h.fault_tval = tval


cdef void raise_plain(HartState* h, u64 cause, u64 tval, bint gva) noexcept nogil:
    """Leave an exception waiting that no translation raised; `gva`: tval is a guest virtual address."""
    h.fault_guest = False
    h.fault_implicit = False
    h.fault_gva = gva
    raise_exception(h, cause, tval)


cdef void stop_at(HartState* h, Op* ip, i64 left) noexcept nogil:
    """Leave the handlers with the instruction of `ip` not executed."""
    cdef Block* b = block_of(ip)
    h.pc = b.vpc + b.side[ip.idx].offset
    h.left = left + b.n - b.side[ip.idx].ordinal


cdef void stop_after(HartState* h, Op* ip, i64 left) noexcept nogil:
    """Leave the handlers with the instruction of `ip` retired."""
    cdef Block* b = block_of(ip)
    h.pc = b.vpc + b.side[ip.idx + 1].offset
    h.left = left + b.n - b.side[ip.idx + 1].ordinal


cdef u32 op_bits(HartState* h, Op* ip) noexcept nogil:
    """The bits of the instruction of `ip`."""
    cdef Block* b = block_of(ip)
    if b.straddle:
        return b.straddle
    return bits_at(h, b.hpa + b.side[ip.idx].offset)


cdef SLOW fault(HartState* h, Op* ip, i64 left, u64 cause, u64 tval) noexcept nogil:
    """The access of `ip` raised what a translation found."""
    stop_at(h, ip, left)
    h.fault_insn = op_bits(h, ip)
    raise_exception(h, cause, tval)


cdef SLOW fault_plain(HartState* h, Op* ip, i64 left, u64 cause, u64 tval, bint gva) noexcept nogil:
    stop_at(h, ip, left)
    h.fault_insn = op_bits(h, ip)
    raise_plain(h, cause, tval, gva)


cdef SLOW fault_illegal(HartState* h, Op* ip, i64 left, bint virtual) noexcept nogil:
    """Illegal instruction, or virtual instruction: tval holds the instruction's bits."""
    stop_at(h, ip, left)
    h.fault_insn = op_bits(h, ip)
    raise_plain(h, CAUSE_VIRTUAL_INSTRUCTION if virtual else CAUSE_ILLEGAL_INSTRUCTION, h.fault_insn, False)


cdef u64 transformed(HartState* h) noexcept nogil:
    """htinst or mtinst for the waiting exception (hypervisor chapter, "Transformed Instruction or Pseudoinstruction")."""
    cdef Decoded d
    cdef u32 bits = h.fault_insn
    cdef u64 result, address
    cdef u64 cause = h.fault_cause
    if h.fault_interrupt:
        return 0
    if h.fault_implicit and h.fault_guest:
        return 0x3000 if h.fault_implicit == PTE_READ else 0x3020       # 64-bit read, or write, for VS-stage translation
    if cause not in (CAUSE_LOAD_ADDRESS_MISALIGNED, CAUSE_LOAD_ACCESS_FAULT, CAUSE_STORE_ADDRESS_MISALIGNED, CAUSE_STORE_ACCESS_FAULT,
                     CAUSE_LOAD_PAGE_FAULT, CAUSE_STORE_PAGE_FAULT, CAUSE_LOAD_GUEST_PAGE_FAULT, CAUSE_STORE_GUEST_PAGE_FAULT):
        return 0
    if not decode(h, bits, &d):
        return 0
    result = ROW_MATCH[d.op]
    address = h.x[d.rs1]
    if result & 0x7F in (0x03, 0x07):   # loads keep rd, stores rs2; their immediates read as zero
        result |= <u64>(d.rd & 31) << 7
        address += <u64>d.imm
    elif result & 0x7F in (0x23, 0x27):
        result |= <u64>(d.rs2 & 31) << 20
        address += <u64>d.imm
    else:                               # AMO, LR, SC, HLV, HSV: everything but rs1
        result = bits & ~(<u64>31 << 15)
    if bits & 3 != 3:
        result &= ~<u64>2
    return result | ((h.fault_tval - address) & 31) << 15


# ---------------------------------------------------------------- trap entry and return

cdef inline u64 vector(u64 tvec, u64 cause, bint interrupt) noexcept nogil:
    if interrupt and tvec & MTVEC_MODE:
        return (tvec & ~<u64>3) + 4 * cause
    return tvec & ~<u64>3


cdef bint take_trap(HartState* h) noexcept nogil:
    """Deliver the waiting exception or interrupt. True if its target mode is hosted: then pc, privilege and the interrupt-enable stack
    stay as they are and the caller reports an exit; otherwise the trap is entered and counts as one step."""
    cdef u64 cause = h.fault_cause
    cdef u64 bit = <u64>1 << cause
    cdef u64 xcause = cause | (<u64>1 << 63 if h.fault_interrupt else 0)
    cdef u64 status = h.csr[CSR_MSTATUS]
    cdef bint hosted
    h.event = EVENT_NONE
    h.waiting = False
    if h.fault_interrupt:
        pass                                    # where it goes was settled when it was chosen
    elif h.privilege == M_MODE or not h.csr[CSR_MEDELEG] & bit:
        h.fault_target = M_MODE
    elif h.virtual and h.csr[CSR_HEDELEG] & bit:
        h.fault_target = VS_TARGET
    else:
        h.fault_target = S_MODE
    if h.fault_target == M_MODE:
        hosted = (h.hosts & HOST_M_BIT) != 0
    else:
        hosted = h.fault_target == S_MODE and (h.hosts & HOST_HS_BIT) != 0
    if not hosted:
        h.left -= 1
        h.guest_traps += 1
        h.reservation = EVERY_BIT
    if h.fault_target == M_MODE:
        h.csr[CSR_MEPC] = h.pc
        h.csr[CSR_MCAUSE] = xcause
        h.csr[CSR_MTVAL] = h.fault_tval
        status = (status & ~<u64>MSTATUS_MPP) | h.privilege << MSTATUS_MPP_SHIFT
        if h.has_h:
            h.csr[CSR_MTVAL2] = h.fault_gpa >> 2 if h.fault_guest else 0
            h.fault_tinst = transformed(h)
            h.csr[CSR_MTINST] = h.fault_tinst
            status &= ~<u64>(MSTATUS_MPV | MSTATUS_GVA)
            if h.virtual:
                status |= MSTATUS_MPV
            if h.fault_gva:
                status |= MSTATUS_GVA
        if not hosted:
            status = (status & ~<u64>MSTATUS_MPIE) | (MSTATUS_MPIE if status & MSTATUS_MIE else 0)
            status &= ~<u64>MSTATUS_MIE
            h.privilege = M_MODE
            h.virtual = False
            h.pc = vector(h.csr[CSR_MTVEC], cause, h.fault_interrupt)
        h.csr[CSR_MSTATUS] = status
    elif h.fault_target == S_MODE:
        h.csr[CSR_SEPC] = h.pc
        h.csr[CSR_SCAUSE] = xcause
        h.csr[CSR_STVAL] = h.fault_tval
        status = (status & ~<u64>MSTATUS_SPP) | (MSTATUS_SPP if h.privilege else 0)
        if h.has_h:
            h.csr[CSR_HTVAL] = h.fault_gpa >> 2 if h.fault_guest else 0
            h.fault_tinst = transformed(h)
            h.csr[CSR_HTINST] = h.fault_tinst
            h.csr[CSR_HSTATUS] &= ~<u64>(HSTATUS_SPV | HSTATUS_GVA)
            if h.virtual:
                h.csr[CSR_HSTATUS] &= ~<u64>HSTATUS_SPVP
                h.csr[CSR_HSTATUS] |= HSTATUS_SPV | (HSTATUS_SPVP if h.privilege else 0)
            if h.fault_gva:
                h.csr[CSR_HSTATUS] |= HSTATUS_GVA
        if not hosted:
            status = (status & ~<u64>MSTATUS_SPIE) | (MSTATUS_SPIE if status & MSTATUS_SIE else 0)
            status &= ~<u64>MSTATUS_SIE
            h.privilege = S_MODE
            h.virtual = False
            h.pc = vector(h.csr[CSR_STVEC], cause, h.fault_interrupt)
        h.csr[CSR_MSTATUS] = status
    else:
        h.csr[CSR_VSEPC] = h.pc
        h.csr[CSR_VSCAUSE] = xcause
        h.csr[CSR_VSTVAL] = h.fault_tval
        status = h.csr[CSR_VSSTATUS] & ~<u64>(MSTATUS_SPP | MSTATUS_SPIE)
        status |= (MSTATUS_SPP if h.privilege else 0) | (MSTATUS_SPIE if status & MSTATUS_SIE else 0)
        h.csr[CSR_VSSTATUS] = status & ~<u64>MSTATUS_SIE
        h.privilege = S_MODE
        h.pc = vector(h.csr[CSR_VSTVEC], cause, h.fault_interrupt)
    if not hosted:
        contexts_update(h)
        hpm_mode_changed(h)
        h.irq_check = True
        if h.trace != NULL:
            trace_trap(h)
    return hosted


cdef void op_mret(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u64 status = h.csr[CSR_MSTATUS]
    cdef u64 previous = (status & MSTATUS_MPP) >> MSTATUS_MPP_SHIFT
    if h.privilege != M_MODE:
        fault_illegal(h, ip, left, False)
        return
    stop_after(h, ip, left)
    h.privilege = previous
    h.virtual = h.has_h and (status & MSTATUS_MPV) != 0 and previous != M_MODE
    status = (status & ~<u64>MSTATUS_MIE) | (MSTATUS_MIE if status & MSTATUS_MPIE else 0) | MSTATUS_MPIE
    status &= ~<u64>(MSTATUS_MPP | MSTATUS_MPV)
    if previous != M_MODE:
        status &= ~<u64>MSTATUS_MPRV
    h.csr[CSR_MSTATUS] = status
    h.pc = h.csr[CSR_MEPC]
    returned(h)


cdef void op_sret(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u64 status = h.csr[CSR_MSTATUS]
    if h.privilege == U_MODE:
        fault_illegal(h, ip, left, h.virtual)
        return
    if h.virtual:
        if h.csr[CSR_HSTATUS] & HSTATUS_VTSR:
            fault_illegal(h, ip, left, True)
            return
        stop_after(h, ip, left)
        status = h.csr[CSR_VSSTATUS]
        h.privilege = S_MODE if status & MSTATUS_SPP else U_MODE
        h.csr[CSR_VSSTATUS] = supervisor_unstacked(status)
        h.pc = h.csr[CSR_VSEPC]
        returned(h)
        return
    if h.privilege == S_MODE and status & MSTATUS_TSR:
        fault_illegal(h, ip, left, False)
        return
    stop_after(h, ip, left)
    if h.has_h:
        h.virtual = (h.csr[CSR_HSTATUS] & HSTATUS_SPV) != 0
        h.csr[CSR_HSTATUS] &= ~<u64>HSTATUS_SPV
    h.privilege = S_MODE if status & MSTATUS_SPP else U_MODE
    h.csr[CSR_MSTATUS] = supervisor_unstacked(status) & ~<u64>MSTATUS_MPRV
    h.pc = h.csr[CSR_SEPC]
    returned(h)


cdef inline u64 supervisor_unstacked(u64 status) noexcept nogil:
    """sstatus or vsstatus after SRET: SIE from SPIE, SPIE set, SPP user."""
    status = (status & ~<u64>MSTATUS_SIE) | (MSTATUS_SIE if status & MSTATUS_SPIE else 0) | MSTATUS_SPIE
    return status & ~<u64>MSTATUS_SPP


cdef void returned(HartState* h) noexcept nogil:
    h.reservation = EVERY_BIT
    h.irq_check = True
    contexts_update(h)
    hpm_mode_changed(h)
