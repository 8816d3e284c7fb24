# Memory: the machine's RAM as Python sees it.

from libc.string cimport memcpy, memset
from libc.stdlib cimport calloc, free, malloc, realloc
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.buffer cimport PyBuffer_FillInfo

cdef extern from "<sys/mman.h>" nogil:
    void* mmap(void* address, size_t length, int protection, int flags, int fd, long offset)
    int munmap(void* address, size_t length)
    int PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS, MAP_NORESERVE
    void* MAP_FAILED

cdef extern from *:
    """
    /* A guest's memory accesses miss the host's TLB as its own would; large pages spare most of that. */
    static void hv_prefer_large_pages(void *address, size_t length)
    {
    #ifdef MADV_HUGEPAGE
        madvise(address, length, MADV_HUGEPAGE);
    #endif
    }
    """
    void prefer_large_pages "hv_prefer_large_pages"(void* address, size_t length) nogil

DEFAULT_RAM_BASE = 0x80000000


cdef class Memory:
    cdef MemState state
    cdef frozenset isa          # of the harts on it, which share decoded code; None while there was none
    cdef Memory owner           # whose bytes these are, if another's
    cdef bint borrows           # they are

    def __cinit__(self, size=None, base=DEFAULT_RAM_BASE, *, Memory bytes_of=None, bint large_pages=False):
        cdef MemState* mem = &self.state
        cdef void* ram
        cdef u64 frames
        self.owner = bytes_of if bytes_of is None or bytes_of.owner is None else bytes_of.owner
        self.borrows = self.owner is not None
        if self.borrows:
            size, base = self.owner.size, self.owner.base
        if size is None or size <= 0 or size % PAGE_SIZE or base < 0 or base % PAGE_SIZE or base + size > 1 << 56:
            raise ValueError(f"memory of {size:#x} bytes at {base:#x}: both must be multiples of 4096 within 56 bits")
        frames = size >> PAGE_SHIFT
        if self.borrows:
            ram = self.owner.state.ram
        else:
            ram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        if ram == MAP_FAILED:
            raise MemoryError(f"cannot reserve {size} bytes of guest memory")
        if large_pages and not self.borrows:
            prefer_large_pages(ram, size)
        mem.ram = <u8*>ram
        mem.base = base
        mem.size = size
        mem.pt_capacity = 64
        mem.flags = <u8*>calloc(frames, 1)
        mem.dirty = <u8*>calloc(frames, 1)
        mem.page_blocks = <Block**>calloc(frames, sizeof(Block*))
        mem.pte_used = <u64**>calloc(frames, sizeof(u64*))
        mem.pt_frames = <u64*>malloc(mem.pt_capacity * sizeof(u64))
        mem.hash = <Block**>calloc(HASH_SIZE, sizeof(Block*))
        if NULL in (mem.flags, mem.dirty, mem.page_blocks, mem.pte_used, mem.pt_frames, mem.hash):
            raise MemoryError("cannot allocate the frame tables")

    def __dealloc__(self):
        cdef MemState* mem = &self.state
        cdef u64 frame
        cdef int i
        for i in range(mem.n_chunks):
            free(mem.chunks[i])
        if mem.pte_used != NULL:
            for frame in range(mem.size >> PAGE_SHIFT):
                free(mem.pte_used[frame])
        free(mem.flags)
        free(mem.dirty)
        free(mem.page_blocks)
        free(mem.pte_used)
        free(mem.pt_frames)
        free(mem.hash)
        free(mem.watches)
        free(mem.notes)
        free(mem.table_stores)
        if mem.ram != NULL and not self.borrows:
            munmap(mem.ram, mem.size)

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.state.ram, <Py_ssize_t>self.state.size, 1, flags)

    @property
    def base(self):
        return self.state.base

    @property
    def size(self):
        return self.state.size

    cdef u8* at(self, hpa, length) except NULL:
        if length < 0 or hpa < self.state.base or hpa + length > self.state.base + self.state.size:
            raise ValueError(f"{length} bytes at {hpa:#x} are outside RAM, which is "
                             f"{self.state.base:#x} to {self.state.base + self.state.size - 1:#x}")
        return self.state.ram + (<u64>hpa - self.state.base)

    def contains(self, hpa, length=1):
        return self.state.base <= hpa and hpa + length <= self.state.base + self.state.size

    def read(self, hpa, length):
        return PyBytes_FromStringAndSize(<char*>self.at(hpa, length), length)

    def write(self, hpa, data):
        cdef const unsigned char[::1] view = data
        cdef u64 length = <u64>view.shape[0]
        cdef u8* place = self.at(hpa, length)
        if length:
            watch_outside(&self.state, hpa, length)
            memcpy(place, &view[0], length)
            stored_outside(&self.state, hpa, length)

    def fill_zero(self, hpa, length):
        cdef u8* place = self.at(hpa, length)
        if length:
            watch_outside(&self.state, hpa, length)
            memset(place, 0, length)
            stored_outside(&self.state, hpa, length)

    def changed(self, hpa, length):
        self.at(hpa, length)
        if length:
            stored_outside(&self.state, hpa, length)

    def dirty_logs(self, hpa):
        self.at(hpa, 1)
        return self.state.dirty[frame_of(&self.state, hpa)]

    def load(self, hpa, u64 size):
        cdef u64 value = 0
        cdef u64 offset = <u64>(hpa & 0xFFFFFFFFFFFFFFFF) - self.state.base
        if size > 8 or offset > self.state.size - size:
            self.at(hpa, size)
            raise ValueError(f"loads are of 1 to 8 bytes, not {size}")
        memcpy(&value, self.state.ram + offset, size)
        return value

    def store(self, hpa, u64 size, u64 value):
        cdef u64 offset = <u64>(hpa & 0xFFFFFFFFFFFFFFFF) - self.state.base
        if size > 8 or offset > self.state.size - size:
            self.at(hpa, size)
            raise ValueError(f"stores are of 1 to 8 bytes, not {size}")
        watch_outside(&self.state, hpa, size)
        memcpy(self.state.ram + offset, &value, size)
        stored_outside(&self.state, hpa, size)

    def page(self, hpa):
        self.at(hpa, 1)
        first = (hpa - self.state.base) & ~0xFFF
        return memoryview(self)[first:first + PAGE_SIZE]

    @property
    def watchpoints(self):
        return watches_of(&self.state)

    @watchpoints.setter
    def watchpoints(self, ranges):
        set_watches(self, ranges)

    def access(self, hpa, u64 size, int kinds, i64 hart, u64 pc, u64 step):
        self.at(hpa, size)
        if self.state.n_watches and not self.state.hit.waits:
            hit_note(&self.state, hpa, size, kinds, hart)
            self.state.hit.pc = pc
            self.state.hit.step = step
            self.state.hit.is_placed = True

    def take_hit(self):
        cdef Exit found = None
        if self.state.hit.waits:
            found = Exit.__new__(Exit)
            found.reason = REASON_WATCHPOINT
            found.steps = self.state.hit.step
            exit_hit(found, &self.state)
        return found

    def take_dirty(self, hpa, length, int log=0):
        cdef u64 frame, first, last
        cdef u8 bit
        cdef list found = []
        cdef HartState* h
        cdef Context* c
        cdef int i, k, j
        if not 0 <= log < DIRTY_LOGS:
            raise ValueError(f"dirty logs are 0 to {DIRTY_LOGS - 1}, not {log}")
        self.at(hpa, length)
        bit = <u8>1 << log
        first = frame_of(&self.state, hpa)
        last = frame_of(&self.state, hpa + length + PAGE_SIZE - 1)
        for frame in range(first, last):
            if self.state.dirty[frame] & bit:
                self.state.dirty[frame] &= ~bit
                found.append(self.state.base + (frame << PAGE_SHIFT))
        if found:
            for i in range(self.state.n_harts):         # the next store to any frame must be seen again
                h = self.state.harts[i]
                for k in range(CONTEXTS):
                    c = &h.contexts[k]
                    if c.used and c.generation == h.generation:
                        for j in range(TLB_SIZE):
                            c.tlb[j].wtag = EVERY_BIT
        return found

    def renew(self, hpa, int log):
        cdef MemState* mem = &self.state
        cdef u64 frame
        self.at(hpa, 1)
        hpa = hpa & -PAGE_SIZE
        frame = frame_of(mem, hpa)
        mem.flags[frame] &= ~<u8>FRAME_TABLE
        self.fill_zero(hpa, PAGE_SIZE)
        if mem.flags[frame] & FRAME_WCACHED:
            drop_write_tags(mem, frame)
        mem.dirty[frame] &= ~(<u8>1 << log)
        if mem.takes_notes:
            note_add(mem, steps_of_all(mem, NULL, 0), -1, HANDED_OUT, hpa, 0)

    # ------------------------------------------------------------ looking

    def frame_marks(self):
        cdef u64 frames = self.state.size >> PAGE_SHIFT
        return (PyBytes_FromStringAndSize(<char*>self.state.flags, <Py_ssize_t>frames),
                PyBytes_FromStringAndSize(<char*>self.state.dirty, <Py_ssize_t>frames))

    def translations(self, u64 va):
        return translations_held(&self.state, va)

    # ------------------------------------------------------------ notes on page tables

    def begin_notes(self, bint walks):
        notes_begin(&self.state, walks)

    @property
    def takes_notes(self):
        return self.state.takes_notes

    @takes_notes.setter
    def takes_notes(self, bint on):
        self.state.takes_notes = on and self.state.notes != NULL
        self.state.notes_walks = self.state.takes_notes and self.state.notes_kept_by_walks

    def note_table(self, hpa):
        self.at(hpa, PTE_SIZE)
        if self.state.takes_notes:
            table_used(&self.state, hpa)

    def note(self, int kind, int hart, u64 where, u64 before):
        if self.state.takes_notes:
            note_add(&self.state, steps_of_all(&self.state, NULL, 0), hart, <u64>kind, where, before)

    def notes(self, int hart, u64 step, entries, int most=256):
        return notes_found(&self.state, hart, step, entries, most)

    def forget_notes(self, u64 step):
        notes_forget(&self.state, step)
