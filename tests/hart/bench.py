"""A hart on a small memory, set up in a few words, and its state as plain values."""

from __future__ import annotations

from dataclasses import dataclass

from hartvisor.core.hart import Hart, Memory
from hartvisor.core.isa import causes, csrs
from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.extensions import DEFAULT_ISA

U64 = (1 << 64) - 1
RAM = 0x8000_0000
CODE = RAM
DATA = RAM + 0x1_0000
MODES = {"M": (3, False), "HS": (1, False), "U": (0, False), "VS": (1, True), "VU": (0, True)}
"""Each mode's privilege encoding and V."""

M_VECTOR, S_VECTOR, VS_VECTOR = RAM + 0x2000, RAM + 0x2400, RAM + 0x2800

# The rows whose values are state of their own, in an order in which writing them back gives the same state:
# delegation first (it masks), PMP configuration last (it locks). The rest are views of these, or read-only.
_VIEWS = {"sstatus", "sie", "sip", "hie", "hip", "vsie", "vsip", "mip", "hcontext", "tdata1", "tdata2", "tdata3"}
_LAST = {f"pmpcfg{i}" for i in range(0, 16, 2)}
STATE_CSRS = tuple(
    csr.name
    for csr in sorted(csrs.CSRS, key=lambda csr: (csr.name in _LAST, csr.name == "mstatus", csr.number))
    if csr.name not in _VIEWS and csr.number >> 10 != 3 and (csr.write_mask or csr.name == "vsstatus")
)


CSRS = tuple(csr for csr in csrs.CSRS if csr.exists_in(DEFAULT_ISA))
"""The rows of a hart that has what it is not asked for."""


def writable(name: str) -> int:
    """The bits of a CSR that such a hart lets software change by plain masking."""
    row = csrs.BY_NAME[name]
    return row.write_mask & ~row.absent_bits(DEFAULT_ISA)


def number(name: str) -> int:
    """A CSR's number."""
    return csrs.BY_NAME[name].number


@dataclass(frozen=True)
class Trap:
    """A trap that was taken: the mode it went to and what that mode's trap CSRs hold."""

    mode: str
    cause: int
    tval: int
    epc: int
    is_interrupt: bool = False


class Bench:
    """A hart in `mode`, PMP open, at `source` assembled to CODE; each mode's trap vector has an address of its own."""

    def __init__(
        self,
        source: str = "",
        *,
        mode: str = "M",
        size: int = 1 << 18,
        isa: frozenset[str] = DEFAULT_ISA,
        has_h: bool = True,
        hosts: int = 0,
        steps_per_tick: int = 10,
        tlb: str = "precise",
        guest_files: int | None = None,
    ) -> None:
        self.memory = Memory(size)
        self.hart = Hart(self.memory, isa=isa, has_h=has_h, hosts=hosts, steps_per_tick=steps_per_tick, tlb=tlb,
                         guest_files=guest_files)
        self["pmpaddr0"] = (1 << 54) - 1
        self["pmpcfg0"] = 0x1F
        self["mtvec"], self["stvec"] = M_VECTOR, S_VECTOR
        if "Smstateen" in self.hart.isa:
            for i in range(4):
                self[f"mstateen{i}"] = U64
        if "H" in self.hart.isa:
            if "Ssstateen" in self.hart.isa:
                for i in range(4):
                    self[f"hstateen{i}"] = U64
            self["vstvec"] = VS_VECTOR
        self.hart.pc = CODE
        self.symbols: dict[str, int] = {}
        if source:
            self.put(source)
        self.enter(mode)

    def __getitem__(self, name: str) -> int:
        return self.hart.read_csr(number(name))

    def __setitem__(self, name: str, value: int) -> None:
        self.hart.write_csr(number(name), value)

    def put(self, source: str, address: int = CODE) -> None:
        """Assemble `source` to `address`."""
        program = assemble(source, address)
        self.symbols |= program.symbols
        self.memory.write(address, program.code)

    @property
    def mode(self) -> str:
        """The mode the hart is in."""
        return next(name for name, mode in MODES.items() if mode == (self.hart.privilege, self.hart.virtual))

    def enter(self, mode: str) -> None:
        """Put the hart into a mode."""
        privilege, virtual = MODES[mode]
        self.hart.virtual = False
        self.hart.privilege = privilege
        self.hart.virtual = virtual

    def set(self, **registers: int) -> None:
        """Set registers: x5=1, …"""
        for name, value in registers.items():
            self.hart.write_gpr(int(name[1:]), value)

    def x(self, index: int) -> int:
        """A register's value."""
        return self.hart.read_gpr(index)

    def delegate_all(self, *, to_vs: bool = False) -> None:
        """Delegate all that can be delegated to S-mode, and with `to_vs` on to VS-mode."""
        self["medeleg"] = self["mideleg"] = U64
        if to_vs:
            self["hedeleg"] = self["hideleg"] = U64

    def trap(self) -> Trap:
        """Run one step, which must be a trap, and tell what was written."""
        traps = self.hart.guest_traps
        steps = self.hart.steps
        self.hart.run(1)
        assert self.hart.guest_traps == traps + 1, f"no trap: pc={self.hart.pc:#x} mode={self.mode}"
        assert self.hart.steps == steps + 1, "a trap is one step"
        prefix = {"M": "m", "HS": "s", "VS": "vs"}[self.mode]
        cause = self[prefix + "cause"]
        return Trap(
            self.mode,
            cause & ~causes.INTERRUPT_BIT,
            self[prefix + "tval"],
            self[prefix + "epc"],
            bool(cause & causes.INTERRUPT_BIT),
        )


def csr_names(hart: Hart) -> tuple[str, ...]:
    """The state CSRs that this hart has."""
    return tuple(name for name in STATE_CSRS if csrs.BY_NAME[name].exists_in(hart.isa))


def state(hart: Hart) -> dict[str, object]:
    """Everything a program could find out about the hart, by name."""
    named: dict[str, object] = {name: hart.read_csr(number(name)) for name in csr_names(hart)}
    named |= {f"x{i}": value for i, value in enumerate(hart.read_gprs())}
    named["triggers"] = hart.triggers
    for name in ("pc", "privilege", "virtual", "steps", "idle_steps", "guest_traps", "reservation", "waiting"):
        named[name] = getattr(hart, name)
    named["mip"] = hart.read_csr(number("mip"))
    return named


def difference(one: dict[str, object], two: dict[str, object]) -> dict[str, tuple[object, object]]:
    """What differs between two states, for a failing test to show."""
    return {name: (one[name], two[name]) for name in one if one[name] != two[name]}


def copy_hart(hart: Hart, memory: Memory, *, has_h: bool = True, steps_per_tick: int = 10) -> Hart:
    """A new hart, its caches empty, in the state of `hart` and on `memory`. No wire but the timer's is copied."""
    new = Hart(memory, has_h=has_h, steps_per_tick=steps_per_tick)
    new.steps, new.idle_steps, new.guest_traps = hart.steps, hart.idle_steps, hart.guest_traps
    # With RLB=1 PMP entries can be written whatever they hold; the last write of mseccfg locks them.
    new.write_csr(number("mseccfg"), hart.read_csr(number("mseccfg")) | 4)
    for name in (*(name for name in csr_names(hart) if name != "mseccfg"), "mseccfg"):
        value = hart.read_csr(number(name))
        if value != new.read_csr(number(name)):
            new.write_csr(number(name), value)
    new.triggers = hart.triggers
    mip = hart.read_csr(number("mip"))
    new.write_csr(number("mip"), mip)
    new.privilege = hart.privilege
    if hart.virtual:
        new.virtual = True
    new.pc = hart.pc
    new.write_gprs(hart.read_gprs())
    new.mtimecmp, new.mtime_offset = hart.mtimecmp, hart.mtime_offset
    new.reservation, new.waiting = hart.reservation, hart.waiting
    return new


def copy_memory(memory: Memory) -> Memory:
    """A new memory with the same content."""
    new = Memory(memory.size, memory.base)
    new.write(memory.base, memory.read(memory.base, memory.size))
    return new
