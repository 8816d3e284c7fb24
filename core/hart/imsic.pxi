# The hart's interrupt files: where message-signaled interrupts arrive (AIA, "Incoming MSI Controller (IMSIC)").  A store of an identity
# to a file's page sets its pending bit; what the file then signals is a bit of h.lines (MEI, SEI) or of hgeip.

cdef enum:
    M_FILE = 0
    S_FILE = 1                  # guest g's file is S_FILE + g
    FILE_IDENTITIES = 64 * FILE_WORDS - 1
    NO_FILE = -1


cdef u64 file_top(InterruptFile* file) noexcept nogil:
    """The most urgent identity that is pending, enabled and within the threshold; 0 for none."""
    cdef u64 bits, identity
    cdef int word
    for word in range(FILE_WORDS):
        bits = file.pending[word] & file.enabled[word]
        if bits:
            identity = <u64>(64 * word + trailing_zeros(bits))
            return identity if file.threshold == 0 or identity < file.threshold else 0
    return 0


cdef inline bint file_signals(InterruptFile* file) noexcept nogil:
    return file.delivery and file_top(file) != 0


cdef inline int guests_file(HartState* h) noexcept nogil:
    """The file that hstatus.VGEIN gives to VS-mode, or NO_FILE."""
    cdef u64 guest = (h.csr[CSR_HSTATUS] & HSTATUS_VGEIN) >> HSTATUS_VGEIN_SHIFT
    return S_FILE + <int>guest if guest - 1 < h.guest_files else NO_FILE


cdef void files_changed(HartState* h) noexcept nogil:
    """After a change of a file, of hgeie or of VGEIN: bring hgeip and the wires up to date."""
    cdef u64 guests = 0, i
    cdef int own = guests_file(h)
    if h.n_files == 0:
        return
    for i in range(1, h.guest_files + 1):
        guests |= <u64>file_signals(&h.files[S_FILE + i]) << i
    h.csr[CSR_HGEIP] = guests
    drive(h, IRQ_MEI, file_signals(&h.files[M_FILE]))
    drive(h, IRQ_SEI, file_signals(&h.files[S_FILE]))
    drive(h, IRQ_VSEI, own != NO_FILE and file_signals(&h.files[own]))
    drive(h, IRQ_SGEI, guests & h.csr[CSR_HGEIE] != 0)


cdef void file_receive(HartState* h, int file, u64 identity) noexcept nogil:
    """A message arrives; an identity that is not implemented is ignored ("Memory region for an interrupt file")."""
    if identity - 1 < FILE_IDENTITIES:
        h.files[file].pending[identity >> 6] |= <u64>1 << (identity & 63)
        files_changed(h)


cdef u64 file_claim_value(InterruptFile* file) noexcept nogil:
    """What mtopei, stopei or vstopei reads: the identity, and once more as its priority."""
    cdef u64 identity = file_top(file)
    return identity << MTOPEI_IDENTITY_SHIFT | identity


cdef void file_claim(HartState* h, int file) noexcept nogil:
    """A write to mtopei, stopei or vstopei, whatever its value."""
    cdef u64 identity = file_top(&h.files[file])
    h.files[file].pending[identity >> 6] &= ~(<u64>1 << (identity & 63))    # identity 0 is never pending
    files_changed(h)


cdef bint file_has(u64 select) noexcept nogil:
    """Is there a register of this number?  On RV64 the odd halves of eip and eie do not exist."""
    return select >= EIDELIVERY and select <= FILE_LAST and not (select >= EIP_FIRST and select & 1)


cdef u64* file_word(InterruptFile* file, u64 select) noexcept nogil:
    """The word of eip or eie that a select names; NULL for those beyond the identities there are, which read as zero."""
    cdef u64 word = (select - (EIP_FIRST if select < EIE_FIRST else EIE_FIRST)) >> 1
    if select < EIP_FIRST or word >= FILE_WORDS:
        return NULL
    return &file.pending[word] if select < EIE_FIRST else &file.enabled[word]


cdef u64 file_read(InterruptFile* file, u64 select) noexcept nogil:
    cdef u64* word = file_word(file, select)
    if word != NULL:
        return word[0]
    if select == EIDELIVERY:
        return file.delivery
    return file.threshold if select == EITHRESHOLD else 0


cdef void file_write(HartState* h, int place, u64 select, u64 value) noexcept nogil:
    cdef InterruptFile* file = &h.files[place]
    cdef u64* word = file_word(file, select)
    if word != NULL:
        word[0] = value & ~<u64>(select == EIP_FIRST or select == EIE_FIRST)    # there is no identity 0
    elif select == EIDELIVERY:
        file.delivery = value & 1
    elif select == EITHRESHOLD:
        file.threshold = value & FILE_IDENTITIES
    files_changed(h)


# ---------------------------------------------------------------- as Python sees them

cdef int checked_file(HartState* h, file) except -1:
    if not 0 <= file < h.n_files:
        raise ValueError(f"this hart has {h.n_files} interrupt files, and no file {file}")
    return file


cdef tuple file_state(InterruptFile* file):
    pending = sum([<object>file.pending[i] << 64 * i for i in range(FILE_WORDS)])
    enabled = sum([<object>file.enabled[i] << 64 * i for i in range(FILE_WORDS)])
    return bool(file.delivery), file.threshold, pending, enabled


cdef int file_restore(HartState* h, int file, delivery, threshold, pending, enabled) except -1:
    file_write(h, file, EIDELIVERY, delivery)
    file_write(h, file, EITHRESHOLD, threshold)
    for i in range(FILE_WORDS):
        file_write(h, file, EIP_FIRST + 2 * i, pending >> 64 * i & EVERY_BIT)
        file_write(h, file, EIE_FIRST + 2 * i, enabled >> 64 * i & EVERY_BIT)
    return 0
