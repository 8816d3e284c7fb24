# The execute unit, privileged part: environment calls, WFI, fences, and the hypervisor's loads and stores.

cdef void op_ecall(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef u64 cause = CAUSE_ECALL_FROM_U + h.privilege
    if h.virtual and h.privilege == S_MODE:
        cause = CAUSE_ECALL_FROM_VS
    fault_plain(h, ip, left, cause, 0, False)


cdef void op_ebreak(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef Block* b = block_of(ip)
    fault_plain(h, ip, left, CAUSE_BREAKPOINT, b.vpc + b.side[ip.idx].offset, h.virtual)


cdef void op_wfi(HartState* h, Op* ip, i64 left) noexcept nogil:
    """In U-mode always a trap, so that whoever schedules can; elsewhere it sleeps until an enabled interrupt is pending."""
    cdef u64 status = h.csr[CSR_MSTATUS]
    if h.privilege != M_MODE and status & MSTATUS_TW:
        fault_illegal(h, ip, left, False)
    elif h.virtual and (h.privilege == U_MODE or h.csr[CSR_HSTATUS] & HSTATUS_VTW):
        fault_illegal(h, ip, left, True)
    elif h.privilege == U_MODE:
        fault_illegal(h, ip, left, False)
    else:
        stop_after(h, ip, left)
        h.waiting = True
        h.idle_reported = False
        h.irq_check = True


# ---------------------------------------------------------------- fences

cdef void fenced(HartState* h, Op* ip, i64 left) noexcept nogil:
    """After a fence: a stale hart looks its next instruction up afresh; a precise one holds nothing stale."""
    if h.stale:
        stop_after(h, ip, left)
    else:
        advance(h, ip, left)


cdef void op_sfence_vma(HartState* h, Op* ip, i64 left) noexcept nogil:
    cdef bint denied = h.privilege == S_MODE and not h.virtual and h.csr[CSR_MSTATUS] & MSTATUS_TVM != 0
    if h.virtual and (h.privilege == U_MODE or h.csr[CSR_HSTATUS] & HSTATUS_VTVM):
        fault_illegal(h, ip, left, True)
        return
    if h.privilege == U_MODE or denied:
        fault_illegal(h, ip, left, False)
        return
    if h.stale:
        stale_fence(h, h.virtual, ip.rs1 == 0, h.x[ip.rs1], ip.rs2 == 0, h.x[ip.rs2] & 0xFFFF)
    note_fence(h, ip, left)
    fenced(h, ip, left)


cdef void op_sfence_w_inval(HartState* h, Op* ip, i64 left) noexcept nogil:
    """SFENCE.W.INVAL and SFENCE.INVAL.IR order what SINVAL and HINVAL do at once; TVM and VTVM leave them alone ("Svinval")."""
    if h.privilege == U_MODE:
        fault_illegal(h, ip, left, h.virtual)
    else:
        fenced(h, ip, left)


cdef inline bint hypervisor_only(HartState* h, Op* ip, i64 left) noexcept nogil:
    """HFENCEs are for HS and M; True if the trap was raised."""
    if h.virtual:
        fault_illegal(h, ip, left, True)
        return True
    if h.privilege == U_MODE:
        fault_illegal(h, ip, left, False)
        return True
    return False


cdef void op_hfence_vvma(HartState* h, Op* ip, i64 left) noexcept nogil:
    if hypervisor_only(h, ip, left):
        return
    if h.stale:
        stale_fence(h, True, ip.rs1 == 0, h.x[ip.rs1], ip.rs2 == 0, h.x[ip.rs2] & 0xFFFF)
    fenced(h, ip, left)


cdef void op_hfence_gvma(HartState* h, Op* ip, i64 left) noexcept nogil:
    if hypervisor_only(h, ip, left):
        return
    if h.privilege == S_MODE and h.csr[CSR_MSTATUS] & MSTATUS_TVM:
        fault_illegal(h, ip, left, False)
        return
    if h.stale:
        stale_gstage_fence(h, ip.rs2 == 0, h.x[ip.rs2] & 0x3FFF)
    fenced(h, ip, left)


# ---------------------------------------------------------------- HLV, HLVX, HSV ("Hypervisor Virtual-Machine Load and Store Instructions")

cdef Context* guest_context(HartState* h, Op* ip, i64 left) noexcept nogil:
    """The address space that HLV and HSV reach into; NULL if the instruction trapped instead."""
    if h.virtual:
        fault_illegal(h, ip, left, True)
        return NULL
    if h.privilege == U_MODE and not h.csr[CSR_HSTATUS] & HSTATUS_HU:
        fault_illegal(h, ip, left, False)
        return NULL
    return context_for(h, S_MODE if h.csr[CSR_HSTATUS] & HSTATUS_SPVP else U_MODE, True)


cdef void guest_load(HartState* h, Op* ip, i64 left, int kind) noexcept nogil:
    cdef Context* c = guest_context(h, ip, left)
    if c != NULL:
        load_far(h, ip, left, h.x[ip.rs1], kind, c)


cdef void guest_store(HartState* h, Op* ip, i64 left, int kind) noexcept nogil:
    cdef Context* c = guest_context(h, ip, left)
    if c != NULL:
        store_far(h, ip, left, h.x[ip.rs1], kind, c)


cdef void guest_load_executable(HartState* h, Op* ip, i64 left, int kind) noexcept nogil:
    """HLVX: execute permission takes the place of read permission, page by page where it crosses one; never cached."""
    cdef Context* c = guest_context(h, ip, left)
    cdef u64 va = h.x[ip.rs1], size = <u64>1 << kind, hpa = 0, value = 0, at = 0, piece, tval = 0
    cdef bint uniform = True
    cdef int cause
    if c == NULL:
        return
    if watched(h, True, va, size, TDATA1_LOAD, &tval):
        fault(h, ip, left, CAUSE_BREAKPOINT, tval)
        return
    while at < size:
        piece = PAGE_SIZE - ((va + at) & OFFSET_MASK)
        if piece > size - at:
            piece = size - at
        cause = walk(h, c, va + at, LOAD, True, &hpa, &uniform)
        if cause == 0 and not (pmp_allows(h, hpa, piece, FETCH, c.mode & CTX_PRIV, &uniform)
                               and pmp_allows(h, hpa, piece, LOAD, c.mode & CTX_PRIV, &uniform)
                               and in_ram(h.mem, hpa, piece)):
            cause = CAUSE_LOAD_ACCESS_FAULT
        if cause:
            fault(h, ip, left, <u64>cause, va + at)
            return
        memcpy(<u8*>&value + at, host(h.mem, hpa), piece)
        at += piece
    h.x[ip.rd] = value
    advance(h, ip, left)


cdef void op_hlv_b(HartState* h, Op* ip, i64 left) noexcept nogil:
    guest_load(h, ip, left, 0 | SIGNED)

cdef void op_hlv_bu(HartState* h, Op* ip, i64 left) noexcept nogil:
    guest_load(h, ip, left, 0)

cdef void op_hlv_h(HartState* h, Op* ip, i64 left) noexcept nogil:
    guest_load(h, ip, left, 1 | SIGNED)

cdef void op_hlv_hu(HartState* h, Op* ip, i64 left) noexcept nogil:
    guest_load(h, ip, left, 1)

cdef void op_hlv_w(HartState* h, Op* ip, i64 left) noexcept nogil:
    guest_load(h, ip, left, 2 | SIGNED)

cdef void op_hlv_wu(HartState* h, Op* ip, i64 left) noexcept nogil:
    guest_load(h, ip, left, 2)

cdef void op_hlv_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    guest_load(h, ip, left, 3)

cdef void op_hlvx_hu(HartState* h, Op* ip, i64 left) noexcept nogil:
    guest_load_executable(h, ip, left, 1)

cdef void op_hlvx_wu(HartState* h, Op* ip, i64 left) noexcept nogil:
    guest_load_executable(h, ip, left, 2)

cdef void op_hsv_b(HartState* h, Op* ip, i64 left) noexcept nogil:
    guest_store(h, ip, left, 0)

cdef void op_hsv_h(HartState* h, Op* ip, i64 left) noexcept nogil:
    guest_store(h, ip, left, 1)

cdef void op_hsv_w(HartState* h, Op* ip, i64 left) noexcept nogil:
    guest_store(h, ip, left, 2)

cdef void op_hsv_d(HartState* h, Op* ip, i64 left) noexcept nogil:
    guest_store(h, ip, left, 3)
