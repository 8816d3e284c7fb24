# The hart as Python sees it.

HOST_M = HOST_M_BIT
HOST_HS = HOST_HS_BIT
DEFAULT_STEPS_PER_TICK = 10


@cython.final
@cython.no_gc                   # it refers to its Memory only, which refers to nothing: no cycle runs through it
cdef class Hart:
    cdef HartState* state
    cdef readonly Memory memory
    cdef readonly frozenset isa
    cdef bint mmio_waits

    def __cinit__(self, Memory memory not None, *, hart_id=0, isa=None, has_h=True, hosts=0,
                  steps_per_tick=DEFAULT_STEPS_PER_TICK, tlb="precise", guest_files=None):
        cdef HartState* h
        if isa is None:
            isa = extensions.DEFAULT_ISA
        if not has_h:
            isa = extensions.without(isa, "H")
        if memory.state.n_harts and memory.isa != isa:
            raise ValueError("harts of one memory share its decoded code, and so must have the same extensions")
        if tlb not in ("precise", "stale"):
            raise ValueError(f"tlb is 'precise' or 'stale', not {tlb!r}")
        if steps_per_tick < 1:
            raise ValueError(f"steps_per_tick is at least 1, not {steps_per_tick}")
        if memory.state.n_harts == MAX_HARTS:
            raise ValueError(f"a memory serves at most {MAX_HARTS} harts")
        h = <HartState*>calloc(1, sizeof(HartState))
        if h == NULL:
            raise MemoryError("cannot allocate a hart")
        self.state = h
        if not caches_made(h):
            raise MemoryError("cannot allocate a hart's caches")
        if memory.isa != isa:
            code_reset(&memory.state)
        self.memory = memory
        self.isa = memory.isa = isa
        h.mem = &memory.state
        h.hart_id = hart_id
        h.has_h = "H" in isa
        h.top_mode = paging.top_mode(isa)
        h.hosts = hosts
        h.steps_per_tick = steps_per_tick
        h.host_float = True
        h.stale = tlb == "stale"
        h.mtimecmp = EVERY_BIT
        h.reservation = EVERY_BIT
        h.privilege = M_MODE
        for number in hart_tables.extension_ids(isa):
            h.enabled[number] = 1
        for number, mask, reset in hart_tables.csr_rows(isa):
            h.has_csr[number] = 1
            h.csr_mask[number] = mask
            h.csr[number] = reset
        aia_reset(h, guest_files)
        for i in range(N_TRIGGERS):
            h.tdata1[i] = h.csr[CSR_TDATA1]
        h.generation = 1
        h.data_context = h.fetch_context = h.contexts
        if hosts & HOST_M_BIT:                  # a hosted M-mode has opened physical memory to those below it
            h.csr[CSR_PMPADDR0] = EVERY_BIT >> 10
            h.csr[CSR_PMPCFG0] = PMP_A_NAPOT | PMP_R | PMP_W | PMP_X
        pmp_update(h)
        contexts_update(h)
        memory.state.harts[memory.state.n_harts] = h
        memory.state.n_harts += 1

    def __dealloc__(self):
        cdef MemState* mem
        cdef int i, k
        if self.state == NULL:
            return
        if self.memory is not None:
            mem = &self.memory.state
            for i in range(mem.n_harts):
                if mem.harts[i] == self.state:
                    for k in range(i, mem.n_harts - 1):
                        mem.harts[k] = mem.harts[k + 1]
                    mem.n_harts -= 1
                    break
        caches_free(self.state)
        free(self.state)

    # ------------------------------------------------------------ running

    def run(self, u64 budget):
        cdef HartState* h = self.state
        cdef int reason
        self.mmio_waits = False
        h.budget_end = h.steps + budget
        if h.budget_end < h.steps or h.budget_end > EVERY_BIT >> 1:
            h.budget_end = EVERY_BIT >> 1
        with nogil:
            reason = run_loop(h)
        h.steps = steps_now(h)
        self.clock_moved()
        self.mmio_waits = reason == REASON_MMIO
        return make_exit(h, reason)

    cdef void clock_moved(self) noexcept:
        """Outside a run, MTIP follows the clock and its comparator at once."""
        self.state.stop = self.state.steps
        self.state.left = 0
        timer_update(self.state)

    def complete_mmio(self, u64 value=0):
        cdef HartState* h = self.state
        cdef int kind
        if not self.mmio_waits:
            raise ValueError("complete_mmio answers the last EXIT_MMIO; there is none")
        self.mmio_waits = False
        if not h.mmio_store:
            kind = trailing_zeros(h.mmio_size) | (SIGNED if h.mmio_signed else 0) | (FLOATING if h.mmio_rd >= F_BASE else 0)
            h.x[h.mmio_rd] = extended(value & (EVERY_BIT >> (64 - 8 * h.mmio_size)), kind)
            if kind & FLOATING:
                float_dirty(h)
        h.pc += h.mmio_length
        h.steps += 1
        self.clock_moved()
        if h.trace != NULL:
            trace_commit(h, EVERY_BIT)

    def retire(self, u64 length=4):
        self.state.pc += length
        self.state.steps += 1
        self.clock_moved()

    def redirect(self, u64 pc, bint is_trap):
        self.pc = pc
        self.state.reservation = EVERY_BIT
        self.state.guest_traps += is_trap
        self.state.steps += 1
        self.clock_moved()

    def fault_mmio(self):
        cdef HartState* h = self.state
        if not self.mmio_waits:
            raise ValueError("fault_mmio answers the last EXIT_MMIO; there is none")
        self.mmio_waits = False
        h.fault_guest = False
        h.fault_implicit = False
        h.fault_gva = h.mmio_gva
        raise_exception(h, <u64>access_fault(STORE if h.mmio_store else LOAD), h.mmio_va)

    # ------------------------------------------------------------ state

    @property
    def pc(self):
        return self.state.pc

    @pc.setter
    def pc(self, u64 value):
        self.state.pc = value & ~<u64>(1 if self.state.enabled[EXT_ZCA] else 3)

    @property
    def privilege(self):
        return self.state.privilege

    @privilege.setter
    def privilege(self, value):
        if value not in (U_MODE, S_MODE, M_MODE):
            raise ValueError(f"privilege is 0 (U), 1 (S) or 3 (M), not {value}")
        self.state.privilege = value
        if value == M_MODE:
            self.state.virtual = False
        self.state.irq_check = True
        contexts_update(self.state)
        hpm_mode_changed(self.state)

    @property
    def virtual(self):
        return self.state.virtual

    @virtual.setter
    def virtual(self, value):
        if value and (not self.state.has_h or self.state.privilege == M_MODE):
            raise ValueError("V=1 needs the hypervisor extension and a privilege below M")
        self.state.virtual = value
        self.state.irq_check = True
        contexts_update(self.state)
        hpm_mode_changed(self.state)

    @property
    def waiting(self):
        return self.state.waiting

    @waiting.setter
    def waiting(self, value):
        self.state.waiting = value

    @property
    def reports_idle(self):
        return self.state.reports_idle

    @reports_idle.setter
    def reports_idle(self, u64 value):
        self.state.reports_idle = value

    @property
    def steps(self):
        return self.state.steps

    @steps.setter
    def steps(self, u64 value):
        hpm_update(self.state, self.state.steps)
        self.state.steps, self.state.reported_step = value, EVERY_BIT   # a moment that has its breakpoint yet to meet
        hpm_rebase(self.state, self.state.steps)
        self.clock_moved()

    @property
    def idle_steps(self):
        return self.state.idle_steps

    @idle_steps.setter
    def idle_steps(self, u64 value):
        hpm_update(self.state, self.state.steps)
        self.state.idle_steps = value
        hpm_rebase(self.state, self.state.steps)

    @property
    def guest_traps(self):
        return self.state.guest_traps

    @guest_traps.setter
    def guest_traps(self, u64 value):
        hpm_update(self.state, self.state.steps)
        self.state.guest_traps = value
        hpm_rebase(self.state, self.state.steps)

    @property
    def reservation(self):
        return -1 if self.state.reservation == EVERY_BIT else self.state.reservation

    @reservation.setter
    def reservation(self, value):
        self.state.reservation = EVERY_BIT if value == -1 else value

    @property
    def mtimecmp(self):
        return self.state.mtimecmp

    @mtimecmp.setter
    def mtimecmp(self, u64 value):
        self.state.mtimecmp = value
        self.clock_moved()

    @property
    def mtime_offset(self):
        return self.state.mtime_offset

    @mtime_offset.setter
    def mtime_offset(self, u64 value):
        self.state.mtime_offset = value
        self.clock_moved()

    @property
    def steps_per_tick(self):
        return self.state.steps_per_tick

    def read_gpr(self, int index):
        if not 0 <= index < 32:
            raise IndexError(f"registers are x0 to x31, not x{index}")
        return self.state.x[index]

    def write_gpr(self, int index, value):
        if not 0 <= index < 32:
            raise IndexError(f"registers are x0 to x31, not x{index}")
        if index:
            self.state.x[index] = value & 0xFFFFFFFFFFFFFFFF

    def read_gprs(self):
        cdef u64* x = self.state.x
        return tuple([x[i] for i in range(32)])

    def write_gprs(self, values):
        if len(values) != 32:
            raise ValueError(f"there are 32 registers, not {len(values)}")
        for index, value in enumerate(values):
            self.write_gpr(index, value)

    def read_fpr(self, int index):
        if not 0 <= index < 32:
            raise IndexError(f"floating-point registers are f0 to f31, not f{index}")
        return self.state.x[F_BASE + index]

    def write_fpr(self, int index, value):
        if not 0 <= index < 32:
            raise IndexError(f"floating-point registers are f0 to f31, not f{index}")
        self.state.x[F_BASE + index] = value & 0xFFFFFFFFFFFFFFFF

    def read_fprs(self):
        cdef u64* x = self.state.x
        return tuple([x[F_BASE + i] for i in range(32)])

    def write_fprs(self, values):
        if len(values) != 32:
            raise ValueError(f"there are 32 floating-point registers, not {len(values)}")
        for index, value in enumerate(values):
            self.write_fpr(index, value)

    @property
    def host_float(self):
        return self.state.host_float

    @host_float.setter
    def host_float(self, value):
        self.state.host_float = value
        float_update(self.state)

    def read_csr(self, int number):
        cdef HartState* h = self.state
        if not 0 <= number < 4096 or not csr_exists(h, <u32>number):
            raise KeyError(f"this hart has no CSR {number:#x}")
        return csr_read(h, <u32>number, h.steps)

    def write_csr(self, int number, u64 value):
        cdef HartState* h = self.state
        if not 0 <= number < 4096 or not csr_exists(h, <u32>number):
            raise KeyError(f"this hart has no CSR {number:#x}")
        if number >> 10 == 3:
            raise KeyError(f"CSR {number:#x} is read-only")
        csr_write(h, <u32>number, value, h.steps)
        if h.timers_moved:
            self.clock_moved()

    def set_irq(self, int interrupt, level):
        if interrupt not in (IRQ_MSI, IRQ_MEI, IRQ_SEI):
            raise ValueError(f"there is no wire for interrupt {interrupt} (mtimecmp drives the timer's)")
        drive(self.state, interrupt, level)

    def receive_msi(self, file, u64 identity):
        file_receive(self.state, checked_file(self.state, file), identity)

    def read_file(self, file):
        return file_state(&self.state.files[checked_file(self.state, file)])

    def write_file(self, file, delivery, threshold, pending, enabled):
        file_restore(self.state, checked_file(self.state, file), delivery, threshold, pending, enabled)

    def fence(self):
        if self.state.stale:
            hart_flush(self.state)

    def lend(self, bint on, bint waits):
        self.state.lends, self.state.lent_waits = on, waits

    def take_lent(self):
        count, self.state.lent_count = self.state.lent_count, 0
        return count

    def read_lent(self, int number):
        return lent_place(self.state, number)[0]

    def write_lent(self, int number, u64 value):
        lent_place(self.state, number)[0] = value

    def save(self):
        return saved(self)

    def restore(self, state):
        become(self, state)

    @property
    def triggers(self):
        return tuple([(self.state.tdata1[i], self.state.tdata2[i], self.state.tdata3[i]) for i in range(N_TRIGGERS)])

    @triggers.setter
    def triggers(self, values):
        cdef HartState* h = self.state
        if len(values) != N_TRIGGERS:
            raise ValueError(f"there are {N_TRIGGERS} triggers, not {len(values)}")
        for i, (first, second, third) in enumerate(values):
            h.tdata1[i], h.tdata2[i], h.tdata3[i] = tdata1_legal(h, first), second, tdata3_legal(h, third)
        triggers_update(h)

    # ------------------------------------------------------------ looking

    cdef int look(self, u64 va, int access, u64* hpa) noexcept:
        cdef HartState* h = self.state
        return look_at(h, h.fetch_context if access == FETCH else h.data_context, va, access, hpa)

    def fetch_insn(self):
        cdef HartState* h = self.state
        cdef u64 hpa = 0, second = 0
        cdef u32 bits
        if self.look(h.pc, FETCH, &hpa) or not in_ram(h.mem, hpa, 2):
            return 0
        bits = bits_at(h, hpa)
        if bits & 3 == 3 and h.pc & 2:          # its second half may lie in another page, or under another PMP rule
            if self.look(h.pc + 2, FETCH, &second) or not in_ram(h.mem, second, 2):
                return 0
            bits = (bits & 0xFFFF) | <u32>(<u16*>host(h.mem, second))[0] << 16
        return bits

    def translate(self, u64 va, int access):
        cdef u64 hpa = 0
        cdef int cause = self.look(va, access, &hpa)
        if cause:
            return 0, cause
        return hpa, 0

    @property
    def breakpoints(self):
        return frozenset([self.state.breakpoints[i] for i in range(self.state.n_breakpoints)])

    @breakpoints.setter
    def breakpoints(self, addresses):
        set_breakpoints(self, addresses)

    @property
    def until(self):
        return (self.state.until_kind, self.state.until_number) if self.state.until_kind else None

    @until.setter
    def until(self, wanted):
        set_until(self, wanted)

    # ------------------------------------------------------------ counts

    @property
    def tlb_misses(self):
        return self.state.tlb_misses

    @tlb_misses.setter
    def tlb_misses(self, u64 value):
        self.state.tlb_misses = value

    @property
    def walks(self):
        return self.state.walks

    @walks.setter
    def walks(self, u64 value):
        self.state.walks = value

    @property
    def walk_reads(self):
        return self.state.walk_reads

    @walk_reads.setter
    def walk_reads(self, u64 value):
        self.state.walk_reads = value
