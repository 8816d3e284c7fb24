# What the hypervisor lends to the hart while a guest runs deprivileged: its sstatus, its time and the CSRs that only hold a value, so
# that the commonest of its CSR instructions need no exit.  They do exactly what the hypervisor's emulation would (core/vmm/privileged.py), and are counted for it.
#
# Only what has no consequence is done here: SIE, SPIE and SPP change, SIE is not set while an interrupt waits for it.

cdef extern from *:
    """
    #define LENT_SSTATUS (SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_SPP)
    #define OWN_SSTATUS (SSTATUS_FS | SSTATUS_SD)    /* the real one's, which is the guest's own */
    """
    const u64 LENT_SSTATUS
    const u64 OWN_SSTATUS


cdef inline u64* lent_value(HartState* h, u32 number) noexcept nogil:
    """Where the guest's stvec, sscratch, sepc, scause or stval is kept; NULL for any other CSR."""
    if number - <u32>CSR_SSCRATCH < 4:
        return &h.lent_values[number - CSR_SSCRATCH]
    return &h.lent_values[4] if number == CSR_STVEC else NULL


cdef bint lent_access(HartState* h, Op* ip, u64 steps, u32 number, bint reads, int how, u64 operand) noexcept nogil:
    """Execute a CSR instruction of the guest's S-mode that is illegal in U-mode; False if it must exit."""
    cdef u64 old, new, changed
    cdef u64* place = lent_value(h, number)
    if place != NULL:
        old = place[0]
        if how >= 0:
            new = operand if how == 0 else old | operand if how == 1 else old & ~operand
            place[0] = (old & ~h.csr_mask[number]) | (new & h.csr_mask[number])
    elif number == CSR_TIME and how < 0:
        old = mtime_at(h, steps)
    elif number == CSR_SSTATUS:
        old = h.lent_sstatus | (h.csr[CSR_MSTATUS] & OWN_SSTATUS)
        if how >= 0:
            new = operand if how == 0 else old | operand if how == 1 else old & ~operand
            changed = (old ^ new) & h.csr_mask[CSR_SSTATUS]
            if changed & ~LENT_SSTATUS or (changed & new & SSTATUS_SIE and h.lent_waits):
                return False
            h.lent_sstatus ^= changed
    else:
        return False
    h.lent_count += 1
    if reads:
        h.x[ip.rd] = old
    return True


cdef u64* lent_place(HartState* h, int number) except NULL:
    """The same and sstatus, for Python.  KeyError for a CSR that is not lent."""
    cdef u64* place = &h.lent_sstatus if number == CSR_SSTATUS else lent_value(h, <u32>number)
    if place == NULL:
        raise KeyError(f"CSR {number:#x} is not lent")
    return place
