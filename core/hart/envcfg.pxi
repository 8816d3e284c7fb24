# menvcfg and henvcfg: the gates of what a level below may use (machine chapter, "menvcfg"; hypervisor chapter, "henvcfg").

cdef extern from *:
    """
    #define ENVCFG_GATED (MENVCFG_ADUE | MENVCFG_PBMTE | MENVCFG_STCE)   /* read-only zero in henvcfg while zero in menvcfg */
    """
    const u64 ENVCFG_GATED


cdef void envcfg_write(HartState* h, u32 number, u64 value, u64 mask) noexcept nogil:
    """Write menvcfg or henvcfg.  Cached translations depend on PBMTE; on ADUE they do not, since an entry that lacks A is never cached
    and one that lacks D never for stores."""
    cdef u64 machine = h.csr[CSR_MENVCFG], guest = h.csr[CSR_HENVCFG]
    if number == CSR_HENVCFG:
        mask &= h.csr[CSR_MENVCFG] | ~ENVCFG_GATED
    csr_mask_write(h, number, value, mask)
    h.csr[CSR_HENVCFG] &= h.csr[CSR_MENVCFG] | ~ENVCFG_GATED
    if ((machine ^ h.csr[CSR_MENVCFG]) | (guest ^ h.csr[CSR_HENVCFG])) & MENVCFG_PBMTE:
        hart_flush(h)
