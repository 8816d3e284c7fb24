# What the hypervisor lends to the hart while a guest runs deprivileged: its sstatus and its time, so that the commonest of its CSR
# instructions need no exit.  They do exactly what the hypervisor's emulation would (core/vmm/privileged.py), and are counted for it.
#
# Only what has no consequence is done here: SIE, SPIE and SPP change, SIE is not set while an interrupt waits for it.

cdef extern from *:
    """
    #define LENT_SSTATUS (SSTATUS_SIE | SSTATUS_SPIE | SSTATUS_SPP)
    #define OWN_SSTATUS (SSTATUS_FS | SSTATUS_SD)    /* the real one's, which is the guest's own */
    """
    const u64 LENT_SSTATUS
    const u64 OWN_SSTATUS


cdef bint lent_access(HartState* h, Op* ip, u64 steps, u32 number, bint reads, int how, u64 operand) noexcept nogil:
    """Execute a CSR instruction of the guest's S-mode that is illegal in U-mode; False if it must exit."""
    cdef u64 old, new, changed
    if number == CSR_TIME and how < 0:
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
