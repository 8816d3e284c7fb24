# State enables (privileged manual, "Smstateen/Ssstateen"): mstateen gates what the levels below M may access, hstateen what a guest may.

cdef enum:
    MSTATEEN = CSR_MSTATEEN0
    HSTATEEN = CSR_HSTATEEN0
    SSTATEEN = CSR_SSTATEEN0


cdef int gate_check(HartState* h, u64 bit, u32 i=0) noexcept nogil:
    """Does the bit of mstateen, and with V=1 that of hstateen, `i` open what it gates to the present mode, which is not M?"""
    if h.enabled[EXT_SMSTATEEN] and not h.csr[<u32>MSTATEEN + i] & bit:
        return CSR_ILLEGAL
    if h.virtual and h.enabled[EXT_SSSTATEEN] and not hstateen_read(h, <u32>HSTATEEN + i) & bit:
        return CSR_VIRTUAL
    return CSR_OK


cdef int stateen_check(HartState* h, u32 number) noexcept nogil:
    """May a mode below M access the CSR, as far as the state enables go?"""
    cdef u32 i = 0
    cdef u64 bit
    if number == CSR_SENVCFG or number == CSR_HENVCFG:
        bit = MSTATEEN0_ENVCFG
    elif number == CSR_SCONTEXT or number == CSR_HCONTEXT:
        bit = MSTATEEN0_CONTEXT
    elif number - <u32>SSTATEEN < 4 or number - <u32>HSTATEEN < 4:
        bit = MSTATEEN0_SE0
        i = number & 3
    else:
        return CSR_OK
    return gate_check(h, bit, i)


cdef int advanced_gate_check(HartState* h, u32 number) noexcept nogil:
    """The same for one of ADVANCED_CSRS."""
    cdef u64 bit = advanced_gate(h, number)
    return gate_check(h, bit) if bit else CSR_OK


cdef inline u64 hstateen_read(HartState* h, u32 number) noexcept nogil:
    """What mstateen closes reads as zero in hstateen."""
    return h.csr[number] & (h.csr[MSTATEEN + (number & 3)] if h.enabled[EXT_SMSTATEEN] else EVERY_BIT)


cdef inline void hstateen_write(HartState* h, u32 number, u64 value, u64 mask) noexcept nogil:
    csr_mask_write(h, number, value, mask & (h.csr[MSTATEEN + (number & 3)] if h.enabled[EXT_SMSTATEEN] else EVERY_BIT))
