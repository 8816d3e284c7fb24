# Control and status registers: who may touch them, how they read, what writing them does.  The three are apart on purpose: a
# debugger reads without permission checks, and no read has an effect (privileged manual, "Control and Status Registers").

cdef enum:                      # answers of csr_check
    CSR_OK = 0
    CSR_ILLEGAL = 1
    CSR_VIRTUAL = 2


cdef inline bint csr_exists(HartState* h, u32 number) noexcept nogil:
    return h.has_csr[number] != 0


cdef int counter_check(HartState* h, u32 number) noexcept nogil:
    """The user counters' gates (hcounteren and scounteren sections: V=1 gets a virtual-instruction exception once M allows the counter)."""
    cdef u64 bit = <u64>1 << (number & 31)
    if h.privilege == M_MODE:
        return CSR_OK
    if not h.csr[CSR_MCOUNTEREN] & bit:
        return CSR_ILLEGAL
    if h.virtual and not h.csr[CSR_HCOUNTEREN] & bit:
        return CSR_VIRTUAL
    if h.privilege == U_MODE and not h.csr[CSR_SCOUNTEREN] & bit:
        return CSR_VIRTUAL if h.virtual else CSR_ILLEGAL
    return CSR_OK


cdef MERGED_INT csr_check(HartState* h, u32 number, bint write, bint advanced) noexcept nogil:
    """May the present mode access the CSR?  CSR_OK, or which exception it gets.  `advanced`: it is one of ADVANCED_CSRS."""
    cdef int verdict
    cdef u32 owner = number >> 8 & 3            # 0 U, 1 S, 2 H and VS, 3 M
    if not csr_exists(h, number) or (write and number >> 10 == 3):
        return CSR_ILLEGAL
    if number >> 8 == CSR_CYCLE >> 8:
        return counter_check(h, number)
    if is_float_csr(number) and not h.float_on:
        return CSR_ILLEGAL
    if h.privilege == M_MODE:
        return CSR_OK
    if owner == 3:
        return CSR_ILLEGAL
    if number == CSR_STIMECMP or number == CSR_VSTIMECMP:
        verdict = timer_check(h, number)
    else:
        verdict = advanced_gate_check(h, number) if advanced else stateen_check(h, number)
    if verdict != CSR_OK:
        return verdict
    if h.virtual:
        if owner == 0:
            return CSR_OK
        if owner == 2 or h.privilege == U_MODE:
            return CSR_VIRTUAL                  # HS-mode would have been allowed: an hypervisor may emulate it
        if number == CSR_SATP and h.csr[CSR_HSTATUS] & HSTATUS_VTVM:
            return CSR_VIRTUAL
        return CSR_OK
    if owner > h.privilege and not (owner == 2 and h.privilege == S_MODE):
        return CSR_ILLEGAL
    if (number == CSR_SATP or number == CSR_HGATP) and h.csr[CSR_MSTATUS] & MSTATUS_TVM:
        return CSR_ILLEGAL
    return CSR_OK


cdef inline u32 csr_alias(HartState* h, u32 number) noexcept nogil:
    """With V=1 the supervisor's numbers name the VS copies, where there is one."""
    return CSR_TWIN[number] if h.virtual and CSR_TWIN[number] else number


cdef extern from *:
    """
    #define SSTATUS_VIEW (SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_UBE | SSTATUS_SPP | SSTATUS_VS | SSTATUS_FS | SSTATUS_XS | SSTATUS_SUM \\
                          | SSTATUS_MXR | SSTATUS_UXL | SSTATUS_SD)
    """
    const u64 SSTATUS_VIEW


# ---------------------------------------------------------------- reading

cdef u64 counter(HartState* h, u32 number, u64 raw) noexcept nogil:
    """mcycle or minstret: an offset to the clock while it runs, its value while mcountinhibit stops it."""
    if h.csr[CSR_MCOUNTINHIBIT] >> (number & 31) & 1:
        return h.csr[number]
    return raw + h.csr[number]


cdef inline u64 guests_irqs(HartState* h) noexcept nogil:
    """The interrupts that VS-mode has to do with, as bits of mip: its own three, and LCOFI, which keeps its number ("Shlcofideleg")."""
    return h.csr[CSR_MIDELEG] & h.csr[CSR_HIDELEG] & (VS_IRQS | SIP_LCOFIP)


cdef inline u64 guests_bits(HartState* h, u64 bits) noexcept nogil:
    """Bits of mip or mie as vsip or vsie shows them."""
    bits &= guests_irqs(h)
    return (bits & VS_IRQS) >> 1 | (bits & SIP_LCOFIP)


cdef inline u64 from_guests_bits(u64 bits) noexcept nogil:
    """Bits of vsip or vsie as they stand in mip and mie."""
    return bits << 1 & VS_IRQS | (bits & SIP_LCOFIP)


cdef u64 csr_read(HartState* h, u32 number, u64 steps) noexcept nogil:
    """The CSR's value at a step of the clock."""
    return advanced_read(h, number) if h.has_csr[number] == CSR_ADVANCED else plain_read(h, number, steps)


cdef u64 plain_read(HartState* h, u32 number, u64 steps) noexcept nogil:
    """`csr_read` of what is not one of ADVANCED_CSRS on this hart."""
    if number == CSR_SSTATUS:
        return h.csr[CSR_MSTATUS] & SSTATUS_VIEW
    if number == CSR_SIE:
        return h.csr[CSR_MIE] & h.csr[CSR_MIDELEG] & SUPERVISOR_IRQS
    if number == CSR_SIP:
        return pending_bits(h) & h.csr[CSR_MIDELEG] & SUPERVISOR_IRQS
    if number == CSR_MIP:
        return pending_bits(h)
    if number == CSR_HIE:
        return h.csr[CSR_MIE] & HYPERVISOR_IRQS
    if number == CSR_HIP:
        return pending_bits(h) & HYPERVISOR_IRQS
    if number == CSR_VSIE:
        return guests_bits(h, h.csr[CSR_MIE])
    if number == CSR_VSIP:
        return guests_bits(h, pending_bits(h))
    if number == CSR_CYCLE or number == CSR_MCYCLE:
        return counter(h, CSR_MCYCLE, cycles_at(h, steps))
    if number == CSR_INSTRET or number == CSR_MINSTRET:
        return counter(h, CSR_MINSTRET, retired_at(h, steps))
    if number == CSR_TIME:
        return mtime_at(h, steps) + (h.csr[CSR_HTIMEDELTA] if h.virtual else 0)
    if number - <u32>HSTATEEN < 4:
        return hstateen_read(h, number)
    if number == CSR_MHARTID:
        return h.hart_id
    if (number >= CSR_TDATA1 and number <= CSR_TDATA3) or number == CSR_HCONTEXT:
        return trigger_read(h, number)
    if number == CSR_FCSR:
        return fcsr_read(h)
    if is_hpm_counter(number):
        return hpm_value(h, number & 31, steps)
    if number == CSR_SCOUNTOVF:
        return overflows_read(h)
    return h.csr[number]


# ---------------------------------------------------------------- writing

cdef inline void csr_mask_write(HartState* h, u32 number, u64 value, u64 mask) noexcept nogil:
    h.csr[number] = (h.csr[number] & ~mask) | (value & mask)


cdef void counter_write(HartState* h, u32 number, u64 value, u64 raw_after) noexcept nogil:
    """The value the next instruction reads: the write replaces the increment of the instruction that writes."""
    if h.csr[CSR_MCOUNTINHIBIT] >> (number & 31) & 1:
        h.csr[number] = value
    else:
        h.csr[number] = value - raw_after


cdef void inhibit_write(HartState* h, u64 value, u64 steps) noexcept nogil:
    """mcountinhibit: a counter that stops keeps its value, one that starts goes on from it."""
    cdef u64 cycle = counter(h, CSR_MCYCLE, cycles_at(h, steps))
    cdef u64 retired = counter(h, CSR_MINSTRET, retired_at(h, steps))
    hpm_update(h, steps)
    csr_mask_write(h, CSR_MCOUNTINHIBIT, value, h.csr_mask[CSR_MCOUNTINHIBIT])
    counter_write(h, CSR_MCYCLE, cycle, cycles_at(h, steps))
    counter_write(h, CSR_MINSTRET, retired, retired_at(h, steps))
    hpm_select(h)


cdef void atp_write(HartState* h, u32 number, u64 value) noexcept nogil:
    """satp, vsatp, hgatp: WARL in MODE.  An unsupported mode leaves satp (and vsatp at V=1) as it was; in hgatp, which is WARL field by
    field, and in vsatp written from HS-mode, only MODE keeps its value (manual: "satp", "vsatp", "hgatp")."""
    cdef u64 mode = (value & SATP_MODE) >> SATP_MODE_SHIFT
    if mode != MODE_BARE and (PAGING[0][mode].levels == 0 or mode > h.top_mode):
        if number == CSR_SATP or (number == CSR_VSATP and h.virtual):
            return
        value = (value & ~<u64>SATP_MODE) | (h.csr[number] & SATP_MODE)
    csr_mask_write(h, number, value, h.csr_mask[number])
    contexts_update(h)


cdef void status_write(HartState* h, u64 value, u64 mask) noexcept nogil:
    """mstatus, and through its view sstatus; MPP keeps a legal mode."""
    if mask & MSTATUS_MPP and (value & MSTATUS_MPP) >> MSTATUS_MPP_SHIFT == 2:
        mask &= ~<u64>MSTATUS_MPP
    csr_mask_write(h, CSR_MSTATUS, value, mask)
    h.csr[CSR_MSTATUS] = with_dirt(h.csr[CSR_MSTATUS])
    h.irq_check = True
    contexts_update(h)


cdef void csr_write(HartState* h, u32 number, u64 value, u64 steps_after) noexcept nogil:
    """Write a CSR with all effects; `steps_after` is the clock when the writing instruction has retired."""
    if h.has_csr[number] == CSR_ADVANCED:
        advanced_write(h, number, value)
    else:
        plain_write(h, number, value, steps_after)


cdef void plain_write(HartState* h, u32 number, u64 value, u64 steps_after) noexcept nogil:
    """`csr_write` of what is not one of ADVANCED_CSRS on this hart."""
    cdef u64 mask = h.csr_mask[number]
    if number == CSR_SSTATUS:
        status_write(h, value, h.csr_mask[CSR_SSTATUS])
    elif number == CSR_MSTATUS:
        status_write(h, value, mask)
    elif number == CSR_VSSTATUS:
        csr_mask_write(h, number, value, mask)
        h.csr[number] = with_dirt(h.csr[number])
        h.irq_check = True
        contexts_update(h)
    elif number == CSR_SATP or number == CSR_VSATP or number == CSR_HGATP:
        if number != CSR_HGATP:
            note_root(h, steps_after - 1, h.csr[number])
        atp_write(h, number, value)
    elif is_float_csr(number):
        float_csr_write(h, number, value)
    elif number >= CSR_PMPCFG0 and number < CSR_PMPADDR0 + PMP_ENTRIES:
        pmp_write(h, number, value)
    elif number == CSR_MSECCFG:
        mseccfg_write(h, value)
    elif number == CSR_MENVCFG or number == CSR_HENVCFG or number == CSR_SENVCFG:
        if value & SENVCFG_CBIE == <u64>2 << SENVCFG_CBIE_SHIFT:
            mask &= ~<u64>SENVCFG_CBIE              # a reserved value leaves the field as it was
        if number == CSR_SENVCFG:
            csr_mask_write(h, number, value, mask)
        else:
            envcfg_write(h, number, value, mask)
            timers_changed(h)
    elif trigger_write(h, number, value):
        return
    elif number == CSR_MCYCLE:
        counter_write(h, number, value, cycles_at(h, steps_after))
    elif number == CSR_MINSTRET:
        counter_write(h, number, value, retired_at(h, steps_after))
    elif number == CSR_STIMECMP or number == CSR_VSTIMECMP or number == CSR_HTIMEDELTA:
        h.csr[number] = value
        timers_changed(h)
    elif number - <u32>HSTATEEN < 4:
        hstateen_write(h, number, value, mask)
    elif is_hpm_counter(number) or is_hpm_event(number):
        hpm_write(h, number, value, mask, steps_after)
    elif number == CSR_MCOUNTINHIBIT:
        inhibit_write(h, value, steps_after)
    elif number == CSR_SIE:
        csr_mask_write(h, CSR_MIE, value, h.csr[CSR_MIDELEG] & SUPERVISOR_IRQS)
        h.irq_check = True
    elif number == CSR_HIE:
        csr_mask_write(h, CSR_MIE, value, mask)
        h.irq_check = True
    elif number == CSR_VSIE:
        csr_mask_write(h, CSR_MIE, from_guests_bits(value), guests_irqs(h))
        h.irq_check = True
    elif number == CSR_SIP:
        csr_mask_write(h, CSR_MIP, value, h.csr[CSR_MIDELEG] & mask)
        h.irq_check = True
    elif number == CSR_MIP:
        if supervisor_timer_on(h):
            mask &= ~<u64>SIP_STIP                      # stimecmp's alone
        mask &= ~(h.csr[CSR_MVIEN] & MIP_SEIP)          # mvip's alone
        csr_mask_write(h, CSR_MIP, value, mask & ~VS_IRQS)
        csr_mask_write(h, CSR_HVIP, value, mask & VS_IRQS)
        h.irq_check = True
    elif number == CSR_HIP:
        csr_mask_write(h, CSR_HVIP, value, mask)
        h.irq_check = True
    elif number == CSR_VSIP:
        mask = from_guests_bits(mask) & guests_irqs(h)
        csr_mask_write(h, CSR_HVIP, from_guests_bits(value), mask & VS_IRQS)
        csr_mask_write(h, CSR_MIP, value, mask & SIP_LCOFIP)
        h.irq_check = True
    else:
        csr_mask_write(h, number, value, mask)
        if number == CSR_MIE or number == CSR_MIDELEG or number == CSR_HIDELEG or number == CSR_HVIP:
            h.irq_check = True


# ---------------------------------------------------------------- the instructions

cdef void csr_access(HartState* h, Op* ip, i64 left, bint reads, int how, u64 operand) noexcept nogil:
    """CSRRW (how 0), CSRRS (1) and CSRRC (2): `how` is -1 where the operand is x0 or 0 and nothing is written."""
    if h.has_csr[<u32>ip.imm & 0xFFF] == CSR_ADVANCED:
        advanced_access(h, ip, left, reads, how, operand)
    else:
        access_as(h, ip, left, reads, how, operand, False)


cdef SLOW advanced_access(HartState* h, Op* ip, i64 left, bint reads, int how, u64 operand) noexcept nogil:
    access_as(h, ip, left, reads, how, operand, True)


cdef MERGED access_as(HartState* h, Op* ip, i64 left, bint reads, int how, u64 operand, bint advanced) noexcept nogil:
    """`csr_access`, made once for the ADVANCED_CSRS of a hart, and once for all others, which cost no more for it."""
    cdef u32 number = <u32>ip.imm & 0xFFF
    cdef int verdict = csr_check(h, number, how >= 0, advanced)
    cdef Block* b = block_of(ip)
    cdef u64 steps = h.stop - <u64>(left + b.n - b.side[ip.idx].ordinal)
    cdef u64 old = 0, value
    cdef Context* data = h.data_context
    cdef u64 epoch = h.fetch_epoch
    if verdict == CSR_OK:
        number = csr_alias(h, number)
        if advanced:
            verdict = advanced_check(h, number, how >= 0)
    if verdict != CSR_OK:
        if h.lends and h.privilege == U_MODE and lent_access(h, ip, steps, number, reads, how, operand):
            ip[1].run(h, ip + 1, left)
        else:
            fault_illegal(h, ip, left, verdict == CSR_VIRTUAL)
        return
    if reads:
        old = advanced_read(h, number) if advanced else plain_read(h, number, steps)
    if how >= 0:
        if how == 1 or how == 2:
            # A read-modify-write of mip or sip must not turn a wire's level into the software bit.
            value = h.csr[CSR_MIP] | h.csr[CSR_HVIP] if number == CSR_MIP else old
            operand = value | operand if how == 1 else value & ~operand
        if advanced:
            advanced_write(h, number, operand)
        else:
            plain_write(h, number, operand, steps + 1)
        if is_float_csr(number):
            float_dirty(h)
    if reads:
        h.x[ip.rd] = old
    if h.irq_check or data != h.data_context or epoch != h.fetch_epoch:
        stop_after(h, ip, left)
        return
    ip[1].run(h, ip + 1, left)


cdef void op_csrrw(HartState* h, Op* ip, i64 left) noexcept nogil:
    csr_access(h, ip, left, ip.rd != SINK, 0, h.x[ip.rs1])

cdef void op_csrrs(HartState* h, Op* ip, i64 left) noexcept nogil:
    csr_access(h, ip, left, True, 1 if ip.rs1 else -1, h.x[ip.rs1])

cdef void op_csrrc(HartState* h, Op* ip, i64 left) noexcept nogil:
    csr_access(h, ip, left, True, 2 if ip.rs1 else -1, h.x[ip.rs1])

cdef void op_csrrwi(HartState* h, Op* ip, i64 left) noexcept nogil:
    csr_access(h, ip, left, ip.rd != SINK, 0, ip.rs1)

cdef void op_csrrsi(HartState* h, Op* ip, i64 left) noexcept nogil:
    csr_access(h, ip, left, True, 1 if ip.rs1 else -1, ip.rs1)

cdef void op_csrrci(HartState* h, Op* ip, i64 left) noexcept nogil:
    csr_access(h, ip, left, True, 2 if ip.rs1 else -1, ip.rs1)
