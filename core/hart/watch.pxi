# What the host stops a run for: watchpoints on RAM, and the change of a register.  (Triggers, next door, are the guest's.)  While there
# are none they cost nothing: a frame that is watched loses its read or write tags, so that accesses to it take the slow path; a hart
# that is to stop at a register's change runs one instruction at a time.

cdef enum:                      # what a watchpoint looks for
    LOADS = 1
    STORES = 2

cdef enum:                      # what a hart stops at the change of
    UNTIL_NOTHING = 0
    UNTIL_A_GPR = 1
    UNTIL_AN_FPR = 2
    UNTIL_A_CSR = 3
    UNTIL_A_MODE = 4            # privilege and V
    UNTIL_A_STEP = 5            # a step that is not sleep

WATCH_LOADS = LOADS
WATCH_STORES = STORES
UNTIL_GPR = UNTIL_A_GPR
UNTIL_FPR = UNTIL_AN_FPR
UNTIL_CSR = UNTIL_A_CSR
UNTIL_MODE = UNTIL_A_MODE
UNTIL_STEP = UNTIL_A_STEP


# ---------------------------------------------------------------- watchpoints

cdef void hit_note(MemState* mem, u64 hpa, u64 size, int kinds, i64 hart) noexcept nogil:
    """An access to a watched frame is about to be done: if it touches a watched range, and no hit waits yet, this one does."""
    cdef u64 end = hpa + size, first = EVERY_BIT, last = 0
    cdef int i, found = 0
    if mem.hit.waits:
        return
    for i in range(mem.n_watches):
        if mem.watches[i].kinds & kinds and mem.watches[i].first < end and hpa <= mem.watches[i].last:
            found |= mem.watches[i].kinds & kinds
            first = mem.watches[i].first if mem.watches[i].first < first else first
            last = mem.watches[i].last if mem.watches[i].last > last else last
    if not found:
        return
    first = hpa if hpa > first else first
    last = end - 1 if end - 1 < last else last
    mem.hit.waits = True
    mem.hit.is_placed = hart < 0
    mem.hit.is_store = (found & STORES) != 0
    mem.hit.hart = hart
    mem.hit.pc = mem.hit.step = 0
    mem.hit.address = first
    mem.hit.size = last - first + 1
    mem.hit.before = 0
    memcpy(&mem.hit.before, host(mem, first), 8 if mem.hit.size > 8 else mem.hit.size)


cdef inline void watch(HartState* h, u64 hpa, u64 size, int kinds) noexcept nogil:
    """A hart is about to access [hpa, hpa + size), within one frame."""
    if h.mem.flags[frame_of(h.mem, hpa)] & FRAME_WATCHED:
        hit_note(h.mem, hpa, size, kinds, <i64>h.hart_id)


cdef void watch_outside(MemState* mem, u64 hpa, u64 size) noexcept nogil:
    """Something that is no hart is about to store to [hpa, hpa + size)."""
    if mem.n_watches:
        hit_note(mem, hpa, size, STORES, -1)
    if mem.takes_notes:
        note_outside(mem, hpa, size)


cdef inline void hit_place(HartState* h, u64 pc) noexcept nogil:
    """The instruction whose access the waiting hit is turns out to be the one at pc."""
    if h.mem.hit.waits and not h.mem.hit.is_placed:
        h.mem.hit.pc = pc
        h.mem.hit.is_placed = True


cdef void hit_placed_here(HartState* h) noexcept nogil:
    """As hit_place; but the instruction, at pc, is yet to be completed."""
    if h.mem.hit.waits and not h.mem.hit.is_placed:
        h.mem.hit.step = steps_now(h)
        hit_place(h, h.pc)


cdef void accessed(HartState* h, Op* ip, i64 left, bint must_leave) noexcept nogil:
    """The instruction of `ip` has done its access on a slow path.  A hit ends the run before the next; `must_leave`: so does something else."""
    cdef Block* b
    if h.mem.hit.waits:
        b = block_of(ip)
        hit_place(h, b.vpc + b.side[ip.idx].offset)
        must_leave = True
    if must_leave:
        stop_after(h, ip, left)
    else:
        advance(h, ip, left)


cdef u64 hit_after(MemState* mem) noexcept nogil:
    """What the bytes of the hit hold now."""
    cdef u64 value = 0
    memcpy(&value, host(mem, mem.hit.address), 8 if mem.hit.size > 8 else mem.hit.size)
    return value


cdef tuple watches_of(MemState* mem):
    return tuple([(mem.watches[i].first, mem.watches[i].last - mem.watches[i].first + 1, mem.watches[i].kinds)
                  for i in range(mem.n_watches)])


cdef int set_watches(Memory memory, ranges) except -1:
    """Watch these (hpa, length, kinds) and no others; a hit that waits is forgotten."""
    cdef MemState* mem = &memory.state
    cdef Watch* watches
    cdef u64 frame
    cdef int i
    chosen = list(ranges)
    for hpa, length, kinds in chosen:
        if length < 1 or not 1 <= kinds <= LOADS | STORES:
            raise ValueError(f"a watchpoint is an address, a length of 1 or more, and loads (1), stores (2) or both (3): "
                             f"not {hpa:#x}, {length}, {kinds}")
        memory.at(hpa, length)
    watches = <Watch*>calloc(len(chosen) + 1, sizeof(Watch))
    if watches == NULL:
        raise MemoryError("cannot allocate watchpoints")
    for i in range(mem.n_watches):
        for frame in range(frame_of(mem, mem.watches[i].first), frame_of(mem, mem.watches[i].last) + 1):
            mem.flags[frame] &= ~<u8>FRAME_WATCHED
    for i, (hpa, length, kinds) in enumerate(chosen):
        watches[i].first = hpa
        watches[i].last = hpa + length - 1
        watches[i].kinds = kinds
        for frame in range(frame_of(mem, watches[i].first), frame_of(mem, watches[i].last) + 1):
            mem.flags[frame] |= (FRAME_LOADS_WATCHED if kinds & LOADS else 0) | (FRAME_STORES_WATCHED if kinds & STORES else 0)
    free(mem.watches)
    mem.watches = watches
    mem.n_watches = <int>len(chosen)
    mem.hit.waits = False
    if chosen:
        for i in range(mem.n_harts):
            hart_flush(mem.harts[i])
    return 0


# ---------------------------------------------------------------- until a register changes

cdef u64 until_value(HartState* h) noexcept nogil:
    """What the hart is to stop at the change of, as it is now."""
    if h.until_kind == UNTIL_A_GPR:
        return h.x[h.until_number]
    if h.until_kind == UNTIL_AN_FPR:
        return h.x[F_BASE + h.until_number]
    if h.until_kind == UNTIL_A_CSR:
        return csr_read(h, <u32>h.until_number, steps_now(h))
    if h.until_kind == UNTIL_A_MODE:
        return h.privilege | <u64>h.virtual << 2
    return cycles_at(h, steps_now(h))


cdef void forget_jumps(HartState* h) noexcept nogil:
    """No jump leads straight to a block any more: the run loop decides how each next one is run."""
    cdef int i
    for i in range(CONTEXTS):
        h.epoch += 1
        h.contexts[i].epoch = h.epoch
    h.fetch_epoch = h.fetch_context.epoch


cdef bint breaks_in_page(HartState* h) noexcept nogil:
    """Whether one of the host's breakpoints is in pc's page."""
    cdef int i
    for i in range(h.n_breakpoints):
        if (h.breakpoints[i] ^ h.pc) >> PAGE_SHIFT == 0:
            return True
    return False


cdef int set_breakpoints(Hart hart, addresses) except -1:
    """Stop at these virtual addresses and no others."""
    cdef HartState* h = hart.state
    chosen = sorted(set(addresses))
    if len(chosen) > MAX_BREAKPOINTS:
        raise ValueError(f"at most {MAX_BREAKPOINTS} breakpoints, not {len(chosen)}")
    for i, address in enumerate(chosen):
        h.breakpoints[i] = address
    h.n_breakpoints = <int>len(chosen)
    forget_jumps(h)                 # or one might lead past a breakpoint
    return 0


cdef int set_until(Hart hart, wanted) except -1:
    """Stop at the change of (kind, number), or, with None, of nothing."""
    cdef HartState* h = hart.state
    kind, number = wanted if wanted is not None else (UNTIL_NOTHING, 0)
    if not UNTIL_NOTHING <= kind <= UNTIL_A_STEP:
        raise ValueError(f"a hart stops at the change of a GPR, an FPR, a CSR, its mode or its step; not of kind {kind}")
    if kind in (UNTIL_A_GPR, UNTIL_AN_FPR) and not 0 <= number < 32:
        raise ValueError(f"registers are 0 to 31, not {number}")
    if kind == UNTIL_A_CSR and not (0 <= number < 4096 and csr_exists(h, <u32>number)):
        raise KeyError(f"this hart has no CSR {number:#x}")
    h.until_kind = kind
    h.until_number = number
    if kind:
        forget_jumps(h)
    return 0
