# What a host may want to know about page tables, in the order in which it happened: stores to entries of tables that have been
# walked, fences, and changes of root.  From these follows which translations a real hart might still use.  Off it costs nothing; on,
# frames that hold tables have no write tags, so that stores to them take the slow path, which notes what was there before.

cdef enum:                      # kinds of note
    STORED_AN_ENTRY = 0         # where: its hpa; before: what it held
    FENCED_ADDRESSES = 1        # where: the address, or EVERY_BIT for all; before: the ASID, or EVERY_BIT for all
    CHANGED_ROOT = 2            # before: satp until then
    HANDED_OUT = 3              # where: the frame, which was something else until then

NOTE_STORE = STORED_AN_ENTRY
NOTE_FENCE = FENCED_ADDRESSES
NOTE_ROOT = CHANGED_ROOT
NOTE_FRAME = HANDED_OUT
MARK_CODE = FRAME_CODE
MARK_TABLE = FRAME_TABLE

cdef enum:
    NOTES = 32768               # kept: a power of two
    NO_TABLE_AFTER = 1024       # stores to a table without a walk through it, twice its entries: it is no table any more


cdef void note_add(MemState* mem, u64 step, i64 hart, u64 kind, u64 where, u64 before) noexcept nogil:
    cdef TableNote* note = &mem.notes[mem.n_notes & (NOTES - 1)]
    note.step = step
    note.hart = hart
    note.kind = kind
    note.where = where
    note.before = before
    mem.n_notes += 1
    if mem.n_notes - mem.first_note > NOTES:
        mem.first_note = mem.n_notes - NOTES


cdef u64 steps_of_all(MemState* mem, HartState* running, u64 step) noexcept nogil:
    """The clock of all harts together, when that of the one that runs shows `step`."""
    cdef u64 total = step
    cdef int i
    for i in range(mem.n_harts):
        if mem.harts[i] != running:
            total += mem.harts[i].steps
    return total


cdef void note_entries(MemState* mem, u64 step, i64 hart, u64 hpa, u64 size) noexcept nogil:
    """[hpa, hpa + size), within one frame, is about to be stored to."""
    cdef u64 frame = frame_of(mem, hpa), entry = hpa & ~<u64>7
    if not mem.flags[frame] & FRAME_TABLE:
        return
    while entry < hpa + size:
        note_add(mem, step, hart, STORED_AN_ENTRY, entry, (<u64*>host(mem, entry))[0])
        entry += PTE_SIZE
    mem.table_stores[frame] += 1
    if mem.table_stores[frame] > NO_TABLE_AFTER:
        mem.flags[frame] &= ~<u8>FRAME_TABLE


cdef inline u64 step_of(HartState* h, Op* ip, i64 left) noexcept nogil:
    """The hart's clock before the instruction of `ip`."""
    cdef Block* b = block_of(ip)
    return h.stop - <u64>(left + b.n - b.side[ip.idx].ordinal)


cdef inline void about_to_store(HartState* h, Op* ip, i64 left, u64 hpa, u64 size, int kinds) noexcept nogil:
    """The instruction of `ip` is about to store to [hpa, hpa + size), within one frame, or to load from it too."""
    watch(h, hpa, size, kinds)
    if h.mem.takes_notes:
        note_entries(h.mem, steps_of_all(h.mem, h, step_of(h, ip, left)), <i64>h.hart_id, hpa, size)


cdef void note_outside(MemState* mem, u64 hpa, u64 size) noexcept nogil:
    """Something that is no hart is about to store to [hpa, hpa + size)."""
    cdef u64 end = hpa + size, part
    while hpa < end:
        part = PAGE_SIZE - (hpa & OFFSET_MASK)
        if part > end - hpa:
            part = end - hpa
        note_entries(mem, steps_of_all(mem, NULL, 0), -1, hpa, part)
        hpa += part


cdef SLOW note_fence(HartState* h, Op* ip, i64 left) noexcept nogil:
    """The guest's own fence; where its tables are not the hart's, its host knows of it."""
    if h.mem.notes_walks:
        note_add(h.mem, steps_of_all(h.mem, h, step_of(h, ip, left)), <i64>h.hart_id, FENCED_ADDRESSES,
                 h.x[ip.rs1] if ip.rs1 else EVERY_BIT, h.x[ip.rs2] & 0xFFFF if ip.rs2 else EVERY_BIT)


cdef void note_root(HartState* h, u64 step, u64 before) noexcept nogil:
    if h.mem.notes_walks:
        note_add(h.mem, steps_of_all(h.mem, h, step), <i64>h.hart_id, CHANGED_ROOT, 0, before)


cdef void table_used(MemState* mem, u64 hpa) noexcept nogil:
    """A walk for the guest has read the entry at hpa: from now on stores to its table are noted."""
    cdef u64 frame = frame_of(mem, hpa)
    mem.table_stores[frame] = 0
    if not mem.flags[frame] & FRAME_TABLE:
        feed(mem, frame, FRAME_TABLE)


cdef void walk_noted(HartState* h) noexcept nogil:
    """The hart has walked tables that are the guest's."""
    cdef int i
    if h.mem.notes_walks:
        for i in range(h.n_walked):
            table_used(h.mem, h.walked[i])


cdef int notes_begin(MemState* mem, bint walks) except -1:
    """Take notes from now on. walks: the guest's tables are those that the harts walk."""
    cdef int i
    if mem.notes == NULL:
        mem.notes = <TableNote*>calloc(NOTES, sizeof(TableNote))
        mem.table_stores = <u32*>calloc(mem.size >> PAGE_SHIFT, sizeof(u32))
        if mem.notes == NULL or mem.table_stores == NULL:
            raise MemoryError("cannot allocate notes")
    mem.notes_kept_by_walks = walks
    for i in range(mem.n_harts):
        hart_flush(mem.harts[i])                # they walk anew
    return 0


cdef tuple notes_found(MemState* mem, i64 hart, u64 step, entries, int most):
    """Notes taken before `step` on these entries, on the hart's fences and on its roots, the newest first, back to its last fence of
    everything; and whether that, or the beginning, was reached."""
    cdef u64 wanted[WALK_LIMIT]
    cdef u64 number = mem.n_notes
    cdef TableNote* note
    cdef list found = []
    cdef int i, n = 0
    for entry in entries[:WALK_LIMIT]:
        wanted[n] = entry
        n += 1
    while mem.notes != NULL and number > mem.first_note:
        number -= 1
        note = &mem.notes[number & (NOTES - 1)]
        if note.step >= step:
            continue
        if note.kind == STORED_AN_ENTRY:
            for i in range(n):
                if wanted[i] == note.where:
                    break
            else:
                continue
        elif note.kind == HANDED_OUT:
            for i in range(n):
                if wanted[i] & ~<u64>OFFSET_MASK == note.where:
                    break
            else:
                continue
        elif note.hart != hart:
            continue
        if len(found) == most:
            return found, False
        found.append((note.kind, note.step, note.where, note.before))
        if note.kind == FENCED_ADDRESSES and note.where == EVERY_BIT and note.before == EVERY_BIT:
            return found, True
    return found, mem.first_note == 0


cdef void notes_forget(MemState* mem, u64 step) noexcept nogil:
    """What was noted at `step` or later will not have been; from 0 on: it all begins anew."""
    if step == 0:
        mem.n_notes = mem.first_note = 0
    while mem.n_notes > mem.first_note and mem.notes[(mem.n_notes - 1) & (NOTES - 1)].step >= step:
        mem.n_notes -= 1


# ---------------------------------------------------------------- what the harts hold

cdef u64 held_permissions(TlbEntry* e, u64 page) noexcept nogil:
    return ((PTE_R if e.rtag == page else 0) | (PTE_W if e.wtag == page else 0) | (PTE_X if e.xtag == page else 0))


cdef list translations_held(MemState* mem, u64 va):
    """(hart_id, satp or vsatp, hgatp, mode, hpa of the page, PTE_R|W|X) of each translation of va that a cache holds."""
    cdef u64 page = va & ~<u64>OFFSET_MASK, permissions, hpa
    cdef SecondEntry* behind
    cdef HartState* h
    cdef Context* c
    cdef TlbEntry* e
    cdef int i, k
    cdef list found = []
    for i in range(mem.n_harts):
        h = mem.harts[i]
        for k in range(CONTEXTS):
            c = &h.contexts[k]
            if c.used == 0 or c.generation != h.generation:
                continue
            e = &c.tlb[(va >> PAGE_SHIFT) & (TLB_SIZE - 1)]
            permissions = held_permissions(e, page)
            hpa = page + e.addend - <u64>mem.ram + mem.base
            behind = second_entry(h, c, va)
            if not permissions and second_holds(behind, c, va, PTE_R | PTE_W | PTE_X):
                permissions = behind.facts & (PTE_R | PTE_W | PTE_X)
                hpa = behind.hpa
            if permissions:
                found.append((h.hart_id, c.atp, c.gatp, c.mode, hpa, permissions))
    return found
