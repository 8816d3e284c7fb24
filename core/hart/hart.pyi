"""The hart: a RISC-V RV64 hardware thread interpreted in compiled code, and the RAM it runs from."""

from collections.abc import Sequence

HartState = dict[str, int | str | tuple[int, ...] | dict[int, int]]
"""What Hart.save gives: names to plain values, so that it can be stored and compared without knowing the hart."""

class Memory:
    """Physical RAM of one machine: a lazily allocated, zero-filled, contiguous range.

    Every store that does not come from a hart (loader, devices, hypervisor) goes through this class, so that caches
    that derive from the stored bytes (decoded code, translations) drop what they hold, and the frame counts as dirty.

    base, size: bytes, both multiples of 4096. Addresses are physical (hpa). Raises ValueError for a range outside.
    bytes_of: the memory whose bytes these are: what is derived from them (code, translations, dirty marks) is kept
    apart. Each of two such can serve harts in a thread of its own, as long as what either stores to is nothing that
    the other looks at; `changed` is for when that moves. large_pages: the host may back it by such, which saves it from
    missing its own TLB, but touches 2 MiB where 4 KiB were needed.
    """

    base: int
    size: int
    def __init__(self, size: int | None = None, base: int = ..., *, bytes_of: Memory | None = None,
                 large_pages: bool = False) -> None: ...
    def read(self, hpa: int, length: int) -> bytes: ...
    def write(self, hpa: int, data: bytes | bytearray | memoryview) -> None: ...
    # load, store: 1 to 8 bytes, little endian, unsigned, need not be aligned
    def load(self, hpa: int, size: int) -> int: ...
    def store(self, hpa: int, size: int, value: int) -> None: ...
    def fill_zero(self, hpa: int, length: int) -> None: ...
    def contains(self, hpa: int, length: int = 1) -> bool: ...
    def changed(self, hpa: int, length: int) -> None:
        """Another memory with the same bytes may have stored to these: what is kept of them here is dropped, and their
        frames count as dirty."""
    def dirty_logs(self, hpa: int) -> int:
        """The logs, bit n for log n, in which the frame of hpa is dirty."""
    def take_dirty(self, hpa: int, length: int, log: int = 0) -> list[int]:
        """The frames of the range that were stored to since the last call (or the start): addresses, ascending.

        log: 0 to 7; each is taken on its own, by one who wants to know. Raises ValueError for any other.
        """
    def renew(self, hpa: int, log: int) -> None:
        """The frame is something else from now on: zeros, and not dirty in this log."""
    watchpoints: tuple[tuple[int, int, int], ...]
    """(hpa, length, kinds) of each, kinds of WATCH_LOADS | WATCH_STORES; settable with any iterable of such.

    An access that touches one is done, and then the run ends with EXIT_WATCHPOINT before the next step. Setting A or D
    in a page-table entry is a store; what a walk reads is no load, nor is a fetch. Stores through this class count too:
    such a hit waits until it is taken, or the next run ends with it before it took a step. Setting forgets a hit.
    """
    def take_hit(self) -> Exit | None:
        """The hit that waits, as an EXIT_WATCHPOINT; it waits no more. None if there is none.

        Its `steps` is 0, or, if a hart left the step before its end (for a device access, or a trap to a hosted mode),
        its clock before that step: the run should end when it shows more.
        """
    def access(self, hpa: int, size: int, kinds: int, hart: int, pc: int, step: int) -> None:
        """A host is about to do this access for a hart, in its instruction at pc, before which its clock shows `step`:
        if it is watched, a hit waits."""
    def page(self, hpa: int) -> memoryview:
        """A read-only view of the 4 KiB frame that holds hpa, without a copy (for hashing)."""
    # --- looking without side effects
    def frame_marks(self) -> tuple[bytes, bytes]:
        """Of each frame, a byte with MARK_CODE if decoded code, MARK_TABLE if a page table that is taken notes of lies
        in it; and a byte with the bit of each dirty log that it is in."""
    def translations(self, va: int) -> list[tuple[int, int, int, int, int, int]]:
        """Each translation of va that a hart's cache holds: mhartid; satp or vsatp, and hgatp, of which a stale hart
        keeps MODE and ASID (VMID) alone; the mode it is for, bits 1:0 privilege, bit 2 V, bit 3 SUM, bit 4 MXR, bit 5
        vsstatus.MXR; the hpa of its page; PTE_R|W|X, as far as accesses found them."""
    # --- notes on page tables
    def begin_notes(self, walks: bool) -> None:
        """Be ready to note stores to page tables, fences and changes of root, as `notes` tells of them. walks: the
        tables that the harts walk are those that matter, and their fences and roots; else `note_table` and `note` say
        which, and what. It changes nothing that harts or hosts can see, but for counts of TLB misses and walks."""
    takes_notes: bool      # False at first; setting it before `begin_notes` does nothing
    def note_table(self, hpa: int) -> None:
        """A walk has read the entry at hpa: stores to its frame are noted from now on, until there were so many without
        a walk that it can be no table any more."""
    def note(self, kind: int, hart: int, where: int, before: int) -> None:
        """Note it as of now, if notes are taken."""
    def notes(self, hart: int, step: int, entries: Sequence[int], most: int = ...
              ) -> tuple[list[tuple[int, int, int, int]], bool]:
        """What happened before `step` (of all harts' clocks together) to these entries (hpa) and by the hart, newest
        first, back to its last fence of everything: (kind, step before it, where, before). Whether that, or the
        beginning, was reached.

        NOTE_STORE: the entry at `where` was stored to, and held `before` until then, whoever did it. NOTE_FENCE: of
        address `where` and ASID `before`, all ones for every. NOTE_ROOT: satp was written, and was `before` until then.
        NOTE_FRAME: until then the frame at `where` was something else (`renew`).
        """
    def forget_notes(self, step: int) -> None:
        """What was noted at `step` or later did not happen. 0: notes begin anew."""

class Exit:
    """Why `Hart.run` returned: immutable. Every attribute is a plain int."""

    reason: int  # EXIT_*
    cause: int   # EXIT_TRAP: CAUSE_* (exceptions) or interrupt number; is_interrupt tells which
    is_interrupt: bool
    pc: int      # virtual address of the instruction that trapped (or of the next one to execute); EXIT_WATCHPOINT: of
                 # the one that did the access (0 if none did)
    tval: int    # what xtval would hold: faulting gva, or instruction bits, or 0
    gpa: int     # guest-page faults: the full faulting GPA (htval is gpa >> 2), else 0
    tinst: int   # htinst/mtinst as the manual defines them
    insn: int    # bits of the trapping instruction (16 or 32), 0 where it could not be fetched
    address: int # EXIT_MMIO: physical address; EXIT_WATCHPOINT: the first of the bytes accessed that are watched
    size: int    # EXIT_MMIO, EXIT_WATCHPOINT: bytes, up to the last that are watched
    is_store: bool  # EXIT_MMIO, EXIT_WATCHPOINT (an AMO is a store where stores are watched)
    value: int   # EXIT_MMIO stores: zero-extended data; EXIT_WATCHPOINT: what the bytes (at most 8) hold now
    before: int  # EXIT_WATCHPOINT: what they held before the access
    hart: int    # EXIT_WATCHPOINT: mhartid of the hart that did the access, -1 if something else did
    steps: int   # the hart's step clock at the exit
    target: int  # EXIT_TRAP: privilege the trap went to: 3 = M, 1 = HS/S

EXIT_BUDGET: int       # the budget is used up: run(n) took exactly n steps
EXIT_TRAP: int         # a trap whose target mode is hosted
EXIT_MMIO: int         # a physical access outside RAM; finish it with complete_mmio() or fault_mmio()
EXIT_WFI: int          # WFI retired, and nothing can wake this hart but outside input
EXIT_IDLE: int         # WFI retired, and the next run() sleeps towards a timer (see reports_idle)
EXIT_BREAKPOINT: int   # pc is in the host's breakpoint set, nothing executed there yet
EXIT_WATCHPOINT: int   # a watched range of memory was accessed (see Memory.watchpoints)
EXIT_CHANGED: int      # what Hart.until names has changed, by the step just taken

TLB_ENTRIES: int       # how many pages the translation caches of one address space hold
WATCH_LOADS: int       # bit: what a watchpoint looks for
WATCH_STORES: int
UNTIL_GPR: int         # what Hart.until names
UNTIL_FPR: int
UNTIL_CSR: int
UNTIL_MODE: int        # privilege, V
UNTIL_STEP: int        # the clock without what was slept: run() stops after one step that is not sleep

NOTE_STORE: int        # kinds of notes on page tables (see Memory.notes)
NOTE_FENCE: int
NOTE_ROOT: int
NOTE_FRAME: int
MARK_CODE: int         # bits of Memory.frame_marks
MARK_TABLE: int

HOST_M: int            # bit: M-mode is played by Python; traps to it are exits
HOST_HS: int           # bit: HS-mode is played by Python

class Hart:
    """One hart. Not thread-safe; `run` releases the GIL.

    memory: its RAM. hart_id: mhartid. isa: the names of its extensions, a closed set as core.isa.extensions makes it
    (None: DEFAULT_ISA); harts of one memory have the same. has_h=False takes H away from it.
    hosts: HOST_* bits. steps_per_tick: mtime advances by one every so many steps.  tlb: "precise" | "stale".
    guest_files: how many interrupt files for guests its IMSIC has, 0 to 7, which needs Smaia; None: it has no IMSIC.
    """

    def __init__(self, memory: Memory, *, hart_id: int = 0, isa: frozenset[str] | None = None, has_h: bool = True,
                 hosts: int = 0, steps_per_tick: int = ..., tlb: str = "precise",
                 guest_files: int | None = None) -> None: ...
    memory: Memory
    isa: frozenset[str]
    # --- the run loop
    def run(self, budget: int) -> Exit:
        """Run at most `budget` steps.

        A trap to a hosted mode leaves pc, privilege and registers as the guest had them (the faulting instruction has
        not retired, no step is counted); the trap CSRs of the target mode (mepc, mcause, mtval, mtval2, mtinst; or
        sepc, scause, stval, htval, htinst and hstatus.SPV, SPVP, GVA) are written as the manual says. To go on, change
        what you like and call run again.
        """
    def complete_mmio(self, value: int = 0) -> None:
        """Retire the access of the last EXIT_MMIO: a load puts value into rd, extended as it says; one step."""
    def fault_mmio(self) -> None:
        """The last EXIT_MMIO hit no device: the hart takes the access fault (5 load, 7 store) as the manual says.
        (If the fault's target is hosted, the next run() returns that EXIT_TRAP at once.)"""
    def retire(self, length: int = 4) -> None:
        """An instruction of `length` bytes was executed for the guest: pc moves on, one step, which counters count."""
    def redirect(self, pc: int, is_trap: bool) -> None:
        """The guest was made to take a trap (is_trap), or to return from one, to pc: its reservation is lost, one
        step."""
    # --- state
    pc: int
    privilege: int        # 0 U, 1 S, 3 M
    virtual: bool         # V
    steps: int            # the step clock; settable (world switch). mtime = steps // steps_per_tick
    idle_steps: int       # steps skipped in WFI; cycle = steps - idle_steps; settable
    guest_traps: int      # traps to modes that are not hosted; instret = steps - idle_steps - guest_traps; settable
    reservation: int      # physical address reserved by LR, or -1; settable
    waiting: bool         # asleep in WFI
    reports_idle: int     # a sleep of so many steps or more towards a timer is an EXIT_IDLE before it begins, which
                          # counts no step; so is a WFI that does not sleep, but could, were it not for an interrupt
                          # that only VS-mode can take; 0 (at first): none is
    def read_gpr(self, index: int) -> int: ...
    def write_gpr(self, index: int, value: int) -> None: ...    # x0 stays 0; value is taken modulo 2**64
    def read_gprs(self) -> tuple[int, ...]: ...                 # 32 values
    def write_gprs(self, values: Sequence[int]) -> None: ...
    def read_fpr(self, index: int) -> int: ...                 # 64 bits, narrower values NaN-boxed
    def write_fpr(self, index: int, value: int) -> None: ...    # as a debugger does: FS does not change
    def read_fprs(self) -> tuple[int, ...]: ...                 # 32 values
    def write_fprs(self, values: Sequence[int]) -> None: ...
    host_float: bool      # the host's arithmetic may stand in where it cannot differ; False: never. Same results.
    def read_csr(self, number: int) -> int:
        """The CSR's value as the mode that owns the number sees it: no permission check, no effect.

        Raises KeyError if this hart has no such CSR.
        """
    def write_csr(self, number: int, value: int) -> None:
        """Write as M-mode would, with WARL legalisation and all effects.

        Raises KeyError if this hart has no such CSR, or it is read-only.
        """
    triggers: tuple[tuple[int, int, int], ...]   # tdata1, tdata2, tdata3 of each trigger; settable
    def set_irq(self, interrupt: int, level: bool) -> None:
        """Drive an interrupt wire into mip: 3 MSI, 11 MEI, 9 SEI (ORed with the software-writable SEIP bit).

        The timer's, MTI, follows mtimecmp alone.
        """
    # An IMSIC's interrupt files: 0 is M-mode's, 1 S-mode's, 1 + g that of guest g. ValueError where there is none.
    def receive_msi(self, file: int, identity: int) -> None:
        """A message arrives: its identity becomes pending; one that is not 1 to 255 is ignored."""
    def read_file(self, file: int) -> tuple[bool, int, int, int]:
        """eidelivery, eithreshold, and the pending and the enabled identities: bit i for identity i."""
    def write_file(self, file: int, delivery: bool, threshold: int, pending: int, enabled: int) -> None:
        """Put what `read_file` gave."""
    mtimecmp: int         # CLINT comparator: MTIP = mtime >= mtimecmp; 2**64-1 = never
    mtime_offset: int     # added to steps // steps_per_tick
    def fence(self) -> None:
        """SFENCE.VMA, HFENCE.VVMA and HFENCE.GVMA for all addresses, as a host does after changing page tables.

        A precise hart holds nothing that would need it; a stale one drops all its translations.
        """
    # --- the whole state
    def save(self) -> HartState:
        """Everything that decides what the hart does next, by name; not its caches, its counts, or what its host set
        (breakpoints, until, reports_idle). Raises ValueError where a device access or an exception still waits."""
    def restore(self, state: HartState) -> None:
        """Become the hart that `save` saw: one with the same extensions and hosted modes. Raises ValueError."""
    # --- what a deprivileged guest borrows
    def read_lent(self, number: int) -> int:
        """The guest's sstatus, but for FS and SD, which are the hart's own; its stvec, sscratch, sepc, scause, stval.
        Raises KeyError for another number."""
    def write_lent(self, number: int, value: int) -> None:
        """All 64 bits of it. Raises KeyError."""
    def lend(self, on: bool, waits: bool) -> None:
        """While on, CSR instructions in U-mode that would trap are executed where they only read time, read sstatus and
        change no more of it than SIE, SPIE and SPP, or are about one of the others that are lent, whose writable bits
        are the hart's. waits: an interrupt waits for SIE, to set which must trap."""
    def take_lent(self) -> int:
        """How many such instructions there were since the last call."""
    # --- looking without side effects
    def fetch_insn(self) -> int:
        """Bits of the instruction at pc under the present translation (0 where it cannot be fetched)."""
    def translate(self, va: int, access: int) -> tuple[int, int]:
        """(hpa, 0) or (0, cause), as the present mode's access (0 fetch, 1 load, 2 store) would find; no count."""
    breakpoints: frozenset[int]   # virtual addresses; settable with any iterable of ints
    until: tuple[int, int] | None
    """(UNTIL_*, number of the GPR, FPR or CSR, else 0): a run ends after the step that makes it differ from what it was
    at the run's start. Settable; raises ValueError or KeyError for what the hart has not."""
    # --- counts (settable to 0)
    tlb_misses: int
    walks: int            # page-table walks done
    walk_reads: int       # page-table entries read by them

class Trace:
    """What a hart records while it runs, from now to `close`; a hart has one at most (else ValueError).

    It changes nothing that the guest or its host can see, but for counts of TLB misses and walks. instructions: those
    that retire. memory: their loads and stores. traps: those it takes itself. wires: timers and interrupt lines that
    change. first, last: only steps in [first, last). is_guest: the hart is a VM's, V is not recorded.
    """

    def __init__(self, hart: Hart, *, instructions: bool = False, memory: bool = False, traps: bool = False,
                 wires: bool = False, first: int = 0, last: int = ..., is_guest: bool = False) -> None: ...
    hart: Hart
    mode: int             # the mode to record where the hart's is not the guest's; -1 (at first): the hart's
    size: int             # bytes recorded and not taken
    def access(self) -> tuple[int, int] | None:
        """(va, access) of the instruction that trapped last, before its host emulates it; None if it has no access that
        is to be recorded. access as for Hart.translate: an AMO's is a store."""
    def locate(self, hpa: int) -> None:
        """That access goes to RAM, at hpa: for `access` has told of it, but the hart may not see it there."""
    def commit(self, gpa: int = ...) -> None:
        """The host emulated the instruction that trapped last, and has counted its step: it retired after all. gpa:
        where its access went, if not to RAM. Nothing to record is no mistake."""
    def event(self, step: int, head: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0) -> None:
        """Record what the host did, among the hart's own events."""
    def take(self, stream: int) -> bytes:
        """The records of a stream since it was taken last, in the machine's byte order; each is several 64-bit words.
        A gap is a difference modulo 2**64 to the record before; the first differs from zero.

        0, instructions, 4 words: gap of step to the last one's next step; gap of pc to the last one's end;
        bits | mode << 32 | register << 40; gap of the register's new value to its last recorded.
        1, memory, 6 words: gap of step; gap of the instruction's pc; gap of va; physical frame number (bit 63: given to
        `commit`; all ones above bit 51: not known); value; size | is_store << 8 | mode << 16.
        2, events, 6 words: gap of step; head; a; b; c; d. A trap's head is 1 | mode before << 8 | mode after << 16,
        then xcause, epc, xtval, handler; a wire's is 2 | level << 32, then the interrupt's number; the host's own as
        given.
        mode: bits 1:0 privilege, bit 2 V. register: 0 none, 1 to 31 x, 64 to 95 f.

        Raises MemoryError if records were lost for want of memory.
        """
    def close(self) -> None:
        """Record no more; what is recorded can still be taken."""

def op_names() -> tuple[str, ...]:
    """The instruction-table names that the execute unit has a handler for, in table order."""

def op_counts() -> dict[str, int]:
    """How often each instruction was decoded for execution since the module was loaded."""
