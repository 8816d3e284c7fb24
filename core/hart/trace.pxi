# What a hart records while it runs: instructions that retired, their accesses to memory, traps taken, interrupt wires.  While it
# records nothing, that costs a look at a pointer whenever the run loop goes round, and nothing inside blocks.  While it records
# instructions or accesses, every step is a stop of the run loop's, and its instruction a block of its own.

cdef enum:                      # what to record
    TRACE_INSTRUCTIONS = 1
    TRACE_MEMORY = 2
    TRACE_TRAPS = 4
    TRACE_WIRES = 8

cdef enum:                      # streams of records, each of so many words of 64 bits (hart.pyi describes them)
    STREAM_INSTRUCTIONS = 0
    STREAM_MEMORY = 1
    STREAM_EVENTS = 2
    N_STREAMS = 3
    INSTRUCTION_WORDS = 4
    MEMORY_WORDS = 6
    EVENT_WORDS = 6
    FIRST_CAPACITY = 4096       # words

cdef enum:                      # kinds of event
    RECORD_TRAP = 1
    RECORD_WIRE = 2

cdef enum:                      # major opcodes of the rows that access memory (unprivileged manual, "RV32/64G Instruction Set Listings")
    MAJOR_LOAD = 0x03
    MAJOR_LOAD_FP = 0x07
    MAJOR_STORE = 0x23
    MAJOR_STORE_FP = 0x27
    MAJOR_AMO = 0x2F
    MAJOR_SYSTEM = 0x73
    FUNCT3_GUEST_ACCESS = 4     # HLV and HSV, of SYSTEM, with the may-be-operations,
    FUNCT7_GUEST_ACCESS = 6     # from which these top bits tell them
    BLOCK_BYTES = 64

cdef struct Stream:
    u64* words
    u64 used
    u64 capacity
    u64 step                    # of the last record; likewise
    u64 pc
    u64 va

cdef struct TraceState:
    u32 kinds
    u64 first                   # steps in [first, last) are recorded
    u64 last
    int mode                    # what records say of the mode, or -1: the hart's own
    bint is_guest               # V is not recorded
    bint failed                 # memory ran out
    Stream streams[N_STREAMS]
    u64 known[96]               # value of each register when last recorded
    # the instruction at hand
    bint waits
    u64 step
    u64 pc
    u32 bits
    u64 privilege
    u8 rd
    bint loads
    bint stores
    bint conditional
    u64 size
    u64 va
    u64 place                   # physical; EVERY_BIT where this hart does not know
    u64 loaded
    bint is_loaded              # `loaded` holds what it will read
    u64 operand


cdef u64* stream_room(TraceState* t, int stream, u64 words) noexcept nogil:
    """Where the next record goes; NULL without memory for it."""
    cdef Stream* s = &t.streams[stream]
    cdef u64 capacity = s.capacity
    cdef u64* grown
    if s.used + words > capacity:
        capacity = capacity * 2 if capacity else FIRST_CAPACITY
        grown = <u64*>realloc(s.words, capacity * sizeof(u64))
        if grown == NULL:
            t.failed = True
            return NULL
        s.words = grown
        s.capacity = capacity
    s.used += words
    return s.words + s.used - words


cdef inline bint trace_covers(TraceState* t, u64 step) noexcept nogil:
    return t.first <= step < t.last


cdef void trace_bound(HartState* h, u64 now) noexcept nogil:
    """Let the run loop stop where recording begins, and after each instruction that is recorded."""
    cdef TraceState* t = h.trace
    cdef u64 stop = EVERY_BIT
    if now < t.first:
        stop = t.first
    elif now < t.last and t.kinds & (TRACE_INSTRUCTIONS | TRACE_MEMORY):
        stop = now + 1
    if stop < h.stop:
        h.stop = stop


cdef bint trace_steps(HartState* h) noexcept nogil:
    """Whether the instruction at pc is to be recorded."""
    return h.trace.kinds & (TRACE_INSTRUCTIONS | TRACE_MEMORY) != 0 and trace_covers(h.trace, steps_now(h))


cdef u64 recorded_mode(HartState* h, u64 privilege, bint virtual) noexcept nogil:
    """Bits 1:0: privilege; bit 2: V."""
    if h.trace.mode >= 0:
        return <u64>h.trace.mode
    return privilege | (4 if virtual and not h.trace.is_guest else 0)


# ---------------------------------------------------------------- instructions and their accesses

cdef void trace_begin(HartState* h, u32 bits) noexcept nogil:
    """The instruction at pc is about to run: note what it will have changed when it has."""
    cdef TraceState* t = h.trace
    cdef Decoded d
    t.waits = True
    t.step = steps_now(h)
    t.pc = h.pc
    t.bits = bits
    t.privilege = recorded_mode(h, h.privilege, h.virtual)
    t.rd = 0
    t.loads = t.stores = False
    if decode(h, bits, &d):
        t.rd = d.rd
        if t.kinds & TRACE_MEMORY:
            access_begin(h, &d)


cdef void access_begin(HartState* h, Decoded* d) noexcept nogil:
    """Where an instruction that accesses memory will do so, and what it will find there or leave."""
    cdef TraceState* t = h.trace
    cdef u32 row = ROW_MATCH[d.op]
    cdef u32 major = row & 0x7F, funct3 = row >> 12 & 7, funct5 = row >> 27
    cdef Context* c = h.data_context
    t.conditional = t.is_loaded = False
    t.va = h.x[d.rs1]
    t.size = <u64>1 << (funct3 & 3)
    t.operand = h.x[d.rs2]
    if major in (MAJOR_LOAD, MAJOR_LOAD_FP):
        t.va += <u64>d.imm
        t.loads = True
    elif major in (MAJOR_STORE, MAJOR_STORE_FP):
        t.va += <u64>d.imm
        t.stores = True
    elif major == MAJOR_AMO:
        t.size = <u64>1 << funct3
        t.conditional = d.op in (OP_SC_W, OP_SC_D)
        t.loads = not t.conditional
        t.stores = d.op not in (OP_LR_W, OP_LR_D)
    elif major == MAJOR_SYSTEM and funct3 == FUNCT3_GUEST_ACCESS and row >> 28 == FUNCT7_GUEST_ACCESS:
        if h.virtual:
            return
        t.size = <u64>1 << (row >> 26 & 3)
        t.stores = row >> 25 & 1
        t.loads = not t.stores
        c = context_for(h, S_MODE if h.csr[CSR_HSTATUS] & HSTATUS_SPVP else U_MODE, True)
    elif d.op == OP_CBO_ZERO:
        t.va &= ~<u64>(BLOCK_BYTES - 1)
        t.size = BLOCK_BYTES
        t.operand = 0
        t.stores = True
    else:
        return
    if look_at(h, c, t.va, LOAD if t.loads else STORE, &t.place):
        t.place = EVERY_BIT
    else:
        access_look(h)


cdef void access_look(HartState* h) noexcept nogil:
    """Where the access goes is known: note what a load will find there."""
    cdef TraceState* t = h.trace
    if t.loads and t.size <= sizeof(u64) and (t.va & OFFSET_MASK) + t.size <= PAGE_SIZE and in_ram(h.mem, t.place, t.size):
        t.loaded = 0
        memcpy(&t.loaded, host(h.mem, t.place), t.size)
        t.is_loaded = True


cdef void trace_commit(HartState* h, u64 gpa) noexcept nogil:
    """The instruction at hand retired.  gpa: where its access went, if the host knows better; else EVERY_BIT."""
    cdef TraceState* t = h.trace
    cdef Stream* s = &t.streams[STREAM_INSTRUCTIONS]
    cdef u64* record
    if not t.waits:
        return
    t.waits = False
    if t.kinds & TRACE_INSTRUCTIONS:
        record = stream_room(t, STREAM_INSTRUCTIONS, INSTRUCTION_WORDS)
        if record != NULL:
            record[0] = t.step - s.step
            record[1] = t.pc - s.pc
            record[2] = t.bits | t.privilege << 32 | <u64>t.rd << 40
            record[3] = h.x[t.rd] - t.known[t.rd]
            s.step = t.step + 1
            s.pc = t.pc + (4 if t.bits & 3 == 3 else 2)
            t.known[t.rd] = h.x[t.rd]
    if t.kinds & TRACE_MEMORY and (t.loads or t.stores):
        access_commit(h, gpa)


cdef void access_commit(HartState* h, u64 gpa) noexcept nogil:
    cdef TraceState* t = h.trace
    cdef u64 mask = EVERY_BIT if t.size >= sizeof(u64) else (<u64>1 << 8 * t.size) - 1
    cdef u64 value = t.operand
    if t.loads:
        access_record(h, gpa, (t.loaded if t.is_loaded else h.x[t.rd]) & mask, False)
    if not t.stores or (t.conditional and h.x[t.rd if t.rd else <u8>SINK] != 0):
        return
    if t.loads and in_ram(h.mem, t.place, t.size):
        memcpy(&value, host(h.mem, t.place), t.size if t.size < sizeof(u64) else sizeof(u64))
    access_record(h, gpa, value & mask, True)


cdef void access_record(HartState* h, u64 gpa, u64 value, bint store) noexcept nogil:
    cdef TraceState* t = h.trace
    cdef Stream* s = &t.streams[STREAM_MEMORY]
    cdef u64* record = stream_room(t, STREAM_MEMORY, MEMORY_WORDS)
    if record == NULL:
        return
    record[0] = t.step - s.step
    record[1] = t.pc - s.pc
    record[2] = t.va - s.va
    record[3] = t.place >> PAGE_SHIFT
    if gpa != EVERY_BIT:
        record[3] = gpa >> PAGE_SHIFT | <u64>1 << 63
    record[4] = value
    record[5] = t.size | <u64>store << 8 | t.privilege << 16
    s.step = t.step
    s.pc = t.pc
    s.va = t.va


# ---------------------------------------------------------------- events

cdef void event_record(HartState* h, u64 step, u64 head, u64 a, u64 b, u64 c, u64 d) noexcept nogil:
    cdef Stream* s = &h.trace.streams[STREAM_EVENTS]
    cdef u64* record
    if not trace_covers(h.trace, step):
        return
    record = stream_room(h.trace, STREAM_EVENTS, EVENT_WORDS)
    if record != NULL:
        record[0] = step - s.step
        record[1] = head
        record[2], record[3], record[4], record[5] = a, b, c, d
        s.step = step


cdef void trace_trap(HartState* h) noexcept nogil:
    """A trap was taken, its step counted: read it from the CSRs that it was left in."""
    cdef u64 step = steps_now(h) - 1, before
    if not h.trace.kinds & TRACE_TRAPS:
        return
    if h.fault_target == M_MODE:
        before = (h.csr[CSR_MSTATUS] & MSTATUS_MPP) >> MSTATUS_MPP_SHIFT
        before |= 4 if h.has_h and h.csr[CSR_MSTATUS] & MSTATUS_MPV else 0
        event_record(h, step, RECORD_TRAP | before << 8 | <u64>M_MODE << 16, h.csr[CSR_MCAUSE], h.csr[CSR_MEPC], h.csr[CSR_MTVAL], h.pc)
    elif h.fault_target == S_MODE:
        before = (h.csr[CSR_MSTATUS] & MSTATUS_SPP) >> MSTATUS_SPP_SHIFT
        before |= 4 if h.has_h and h.csr[CSR_HSTATUS] & HSTATUS_SPV else 0
        event_record(h, step, RECORD_TRAP | before << 8 | <u64>S_MODE << 16, h.csr[CSR_SCAUSE], h.csr[CSR_SEPC], h.csr[CSR_STVAL], h.pc)
    else:
        before = (h.csr[CSR_VSSTATUS] & MSTATUS_SPP) >> MSTATUS_SPP_SHIFT
        before |= 0 if h.trace.is_guest else 4
        event_record(h, step, RECORD_TRAP | before << 8 | (before & 4 | S_MODE) << 16,
                     h.csr[CSR_VSCAUSE], h.csr[CSR_VSEPC], h.csr[CSR_VSTVAL], h.pc)


cdef void trace_wire(HartState* h, int interrupt, bint level) noexcept nogil:
    if h.trace.kinds & TRACE_WIRES:
        event_record(h, steps_now(h), RECORD_WIRE | <u64>level << 32, <u64>interrupt, 0, 0, 0)


# ---------------------------------------------------------------- as Python sees it

@cython.final
@cython.no_gc                   # it refers to its hart only, from which no reference leads back
cdef class Trace:
    cdef readonly Hart hart
    cdef TraceState state

    def __cinit__(self, Hart hart not None, *, instructions=False, memory=False, traps=False, wires=False, u64 first=0,
                  u64 last=EVERY_BIT, is_guest=False):
        if hart.state.trace != NULL:
            raise ValueError("this hart is being traced already")
        self.hart = hart
        self.state.kinds = ((TRACE_INSTRUCTIONS if instructions else 0) | (TRACE_MEMORY if memory else 0)
                            | (TRACE_TRAPS if traps else 0) | (TRACE_WIRES if wires else 0))
        self.state.first, self.state.last = first, last
        self.state.is_guest = is_guest
        self.state.mode = -1
        hart.state.trace = &self.state

    def __dealloc__(self):
        cdef int i
        if self.hart is not None and self.hart.state.trace == &self.state:
            self.hart.state.trace = NULL
        for i in range(N_STREAMS):
            free(self.state.streams[i].words)

    def close(self):
        if self.hart.state.trace == &self.state:
            self.hart.state.trace = NULL

    @property
    def mode(self):
        return self.state.mode

    @mode.setter
    def mode(self, int value):
        self.state.mode = value

    @property
    def size(self):
        return sum([self.state.streams[i].used for i in range(N_STREAMS)]) * sizeof(u64)

    def access(self):
        if not self.state.waits or not (self.state.loads or self.state.stores) or not self.state.kinds & TRACE_MEMORY:
            return None
        return self.state.va, STORE if self.state.stores else LOAD

    def locate(self, u64 hpa):
        self.state.place = hpa
        access_look(self.hart.state)

    def commit(self, u64 gpa=EVERY_BIT):
        if self.state.step + 1 == self.hart.state.steps:
            trace_commit(self.hart.state, gpa)

    def event(self, u64 step, u64 head, u64 a=0, u64 b=0, u64 c=0, u64 d=0):
        event_record(self.hart.state, step, head, a, b, c, d)

    def take(self, int stream):
        cdef Stream* s
        if not 0 <= stream < N_STREAMS:
            raise ValueError(f"streams are 0 to {N_STREAMS - 1}, not {stream}")
        if self.state.failed:
            raise MemoryError("no memory for a trace's records")
        s = &self.state.streams[stream]
        taken = PyBytes_FromStringAndSize(<char*>s.words, <Py_ssize_t>(s.used * sizeof(u64)))
        s.used = s.step = s.pc = s.va = 0
        if stream == STREAM_INSTRUCTIONS:
            memset(self.state.known, 0, sizeof(self.state.known))
        return taken
