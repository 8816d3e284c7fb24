# Why a run ended, as Python sees it.

EXIT_BUDGET = REASON_BUDGET
EXIT_TRAP = REASON_TRAP
EXIT_MMIO = REASON_MMIO
EXIT_WFI = REASON_WFI
EXIT_BREAKPOINT = REASON_BREAKPOINT
EXIT_IDLE = REASON_IDLE
EXIT_WATCHPOINT = REASON_WATCHPOINT
EXIT_CHANGED = REASON_CHANGED


@cython.final
@cython.freelist(8)
cdef class Exit:
    cdef readonly int reason
    cdef readonly u64 cause
    cdef readonly bint is_interrupt
    cdef readonly u64 pc
    cdef readonly u64 tval
    cdef readonly u64 gpa
    cdef readonly u64 tinst
    cdef readonly u64 insn
    cdef readonly u64 address
    cdef readonly u64 size
    cdef readonly bint is_store
    cdef readonly u64 value
    cdef readonly u64 before
    cdef readonly i64 hart
    cdef readonly u64 steps
    cdef readonly u64 target

    def __repr__(self):
        name = ("budget", "trap", "mmio", "wfi", "breakpoint", "none", "idle", "watchpoint", "changed")[self.reason]
        facts = {"trap": f" cause={self.cause} interrupt={self.is_interrupt} tval={self.tval:#x} insn={self.insn:#x}",
                 "mmio": f" address={self.address:#x} size={self.size} store={self.is_store}",
                 "watchpoint": f" address={self.address:#x} size={self.size} store={self.is_store} hart={self.hart}"}.get(name, "")
        return f"<Exit {name} pc={self.pc:#x} steps={self.steps}{facts}>"


cdef void exit_hit(Exit e, MemState* mem) noexcept:
    """Tell of the hit that waits, which does so no more."""
    e.pc = mem.hit.pc
    e.hart = mem.hit.hart
    e.address = mem.hit.address
    e.size = mem.hit.size
    e.is_store = mem.hit.is_store
    e.before = mem.hit.before
    e.value = hit_after(mem)
    mem.hit.waits = False


cdef Exit make_exit(HartState* h, int reason):
    cdef Exit e = Exit.__new__(Exit)
    e.reason = reason
    e.pc = h.pc
    e.steps = h.steps
    if reason == REASON_TRAP:
        e.cause = h.fault_cause
        e.is_interrupt = h.fault_interrupt
        e.tval = h.fault_tval
        e.gpa = h.fault_gpa if h.fault_guest else 0
        e.tinst = h.fault_tinst if h.has_h else 0
        e.insn = h.fault_insn
        e.target = h.fault_target
    elif reason == REASON_MMIO:
        e.address = h.mmio_address
        e.size = h.mmio_size
        e.is_store = h.mmio_store
        e.value = h.mmio_value
        e.insn = h.fault_insn
    elif reason == REASON_WATCHPOINT:
        exit_hit(e, h.mem)
    return e
