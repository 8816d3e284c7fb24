# What lies behind a context's translation cache: a larger one that all contexts of the hart share, of what walks found, and the tables
# that walks came through, so that the next one in the same 2 MiB starts at the last level.  Entries carry the epoch of the content
# they belong to, and derive from the same page-table entries as those in front of them, so whatever drops these drops them as well.
# They cannot be seen: what is counted of a walk is what it would have read.  A stale hart has neither, since the contents of its
# caches are state; nor has one whose host notes which tables walks use.

cdef enum:
    TABLE_SHIFT = 21            # what one table of the last level maps
    READS_SHIFT = 16            # in SecondEntry.facts: the reads of its walk


cdef bint caches_made(HartState* h) noexcept:
    """Memory for a hart's caches, all that it has; the host gives pages of it when they are first used."""
    h.contexts = <Context*>calloc(CONTEXTS, sizeof(Context))
    h.jump = <Jump*>calloc(JUMP_SIZE, sizeof(Jump))
    h.second = <SecondEntry*>calloc(SECOND_SIZE, sizeof(SecondEntry))
    return h.contexts != NULL and h.jump != NULL and h.second != NULL


cdef void caches_free(HartState* h) noexcept:
    free(h.contexts)
    free(h.jump)
    free(h.second)


cdef inline bint skips_walks(HartState* h) noexcept nogil:
    return not (h.stale or h.looking or h.mem.notes_walks)


cdef inline SecondEntry* second_entry(HartState* h, Context* c, u64 va) noexcept nogil:
    """Where the page's translation is, if it is there at all: contexts start at different places, or they would all want the same."""
    return &h.second[((va >> PAGE_SHIFT) + c.epoch * 0x9E3779B1u) & (SECOND_SIZE - 1)]


cdef inline bint second_holds(SecondEntry* e, Context* c, u64 va, u64 wanted) noexcept nogil:
    return e.page == va & ~<u64>OFFSET_MASK and e.epoch == c.epoch and e.facts & wanted != 0


cdef inline u64 right_for(int access) noexcept nogil:
    return PTE_R if access == LOAD else (PTE_W if access == STORE else PTE_X)


cdef inline bint second_find(HartState* h, Context* c, u64 va, int access, u64* hpa, u64* perms) noexcept nogil:
    """The page's physical address and PTE_R|W|X without a walk, if that is possible; counted as if there had been one."""
    cdef SecondEntry* e
    if c.mode & CTX_PRIV == M_MODE and h.pmp_open:
        hpa[0] = va & ~<u64>OFFSET_MASK
        perms[0] = PTE_R | PTE_W | PTE_X
        return in_ram(h.mem, hpa[0], PAGE_SIZE) and not h.stale
    e = second_entry(h, c, va)
    if not second_holds(e, c, va, right_for(access)) or not skips_walks(h):
        return False
    h.walks += e.facts >> READS_SHIFT != 0
    h.walk_reads += e.facts >> READS_SHIFT
    hpa[0] = e.hpa
    perms[0] = e.facts & (PTE_R | PTE_W | PTE_X)
    return True


cdef inline void second_fill(HartState* h, Context* c, u64 va, u64 hpa, u64 perms) noexcept nogil:
    """What a walk found, whose entries feed the caches; `perms` after PMP.  So do the tables that it came through."""
    cdef SecondEntry* e = second_entry(h, c, va)
    cdef int i
    if not skips_walks(h):
        return
    e.page = va & ~<u64>OFFSET_MASK
    e.epoch = c.epoch
    e.hpa = hpa & ~<u64>OFFSET_MASK
    e.facts = perms | (<u64>h.n_walked + h.reads_saved) << READS_SHIFT
    for i in range(h.n_passed):
        h.tables[table_slot(h.passed[i].key)] = h.passed[i]


# ---------------------------------------------------------------- tables of the last level

cdef inline u64 table_slot(u64 key) noexcept nogil:
    return (key ^ key >> 8) & (TABLES_SIZE - 1)


cdef inline KnownTable* table_known(HartState* h, Context* c, u64 address, u64 stage) noexcept nogil:
    """The table of the last level for the 2 MiB around a virtual (stage 0) or guest-physical (1) address; NULL if it must be walked to."""
    cdef u64 key = (address >> TABLE_SHIFT) << 1 | stage
    cdef KnownTable* t = &h.tables[table_slot(key)]
    if t.key == key and t.epoch == c.epoch and skips_walks(h):
        return t
    return NULL


cdef inline void table_passed(HartState* h, Context* c, u64 address, u64 stage, u64 hpa, u64 gpa, u64 reads) noexcept nogil:
    """A walk has read its entry at hpa in a table of the last level, which lies at gpa for the guest, after so many `reads` of others."""
    cdef KnownTable* t
    if h.n_passed == PASSED_LIMIT:
        return
    t = &h.passed[h.n_passed]
    h.n_passed += 1
    t.key = (address >> TABLE_SHIFT) << 1 | stage
    t.epoch = c.epoch
    t.hpa = hpa & ~<u64>OFFSET_MASK
    t.gpa = gpa & ~<u64>OFFSET_MASK
    t.reads = reads
