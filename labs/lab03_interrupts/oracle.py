"""What is right in lab 3, as a hart does it: every question is put to one, and looked up nowhere."""

from __future__ import annotations

from typing import Final

from ...core.hart import EXIT_WFI, Hart, Memory
from ...core.isa.csrs import BY_NAME
from ...core.isa.extensions import DEFAULT_ISA
from ...core.machine.memory_map import RAM_BASE
from ...core.vmm.csr_file import CSR_NAMES, SIE, SIP
from ..kit.hart import SSTATUS, SSTATUS_SIE, SSTATUS_SPIE, SSTATUS_SPP, VirtualHart
from ..kit.interrupts import LCOFI, MEI, MSI, MTI, NEVER, SEI, SSI, STI, VSEI, VSSI, VSTI, Clock, Gates, Taken, Wait

ORDER: Final = (MEI, MSI, MTI, SEI, SSI, STI, VSEI, VSSI, VSTI, LCOFI)
"""All interrupts of this hart's but SGEI, which takes an interrupt controller for guests."""
LEVELS: Final = {**dict.fromkeys((MEI, MSI, MTI), 1), **dict.fromkeys((SEI, SSI, STI), 2),
                 **dict.fromkeys((VSEI, VSSI, VSTI), 2), LCOFI: 3}
"""How many ways there are to delegate each."""
CODE: Final = RAM_BASE
EXCEPTIONS: Final = {2: 0xFFFF_FFFF, 3: 0x0010_0073, 8: 0x0000_0073, 4: 0x1005_35AF, 6: 0x00B5_35AF}
"""Instructions that raise them: an illegal one, ebreak, U-mode's ecall, lr.d and amoadd.d at an odd address in a0."""
_NOP: Final = 0x13
_WFI: Final = 0x1050_0073
_CAUSES: Final = {"M": "mcause", "HS": "scause", "VS": "vscause"}
_LONG: Final = 1000
_STACK: Final = SSTATUS_SPP | SSTATUS_SPIE | SSTATUS_SIE


def bits(*interrupts: int) -> int:
    """A mask of them."""
    return sum(1 << interrupt for interrupt in interrupts)


ALL: Final = bits(*ORDER)


class Machine:
    """A hart of its own, with nops in its memory, that has every interrupt."""

    def __init__(self) -> None:
        self._memory = Memory(1 << 16, base=RAM_BASE)
        self._memory.write(CODE, _NOP.to_bytes(4, "little") * 2048)
        self._hart = Hart(self._memory, isa=DEFAULT_ISA)
        self._write(pmpaddr0=(1 << 54) - 1, pmpcfg0=0x1F)

    def _write(self, **values: int) -> None:
        for name, value in values.items():
            self._hart.write_csr(BY_NAME[name].number, value)

    def _read(self, name: str) -> int:
        return self._hart.read_csr(BY_NAME[name].number)

    def set(self, gates: Gates) -> Gates:
        """Make the hart so; what it then is, since not all that can be said can be."""
        hart = self._hart
        self._write(menvcfg=0, mtvec=CODE + 0x400, stvec=CODE + 0x500, vstvec=CODE + 0x600, mideleg=gates.mideleg,
                    hideleg=gates.hideleg, mie=gates.enabled, mip=gates.pending, hvip=gates.pending,
                    mstatus=8 * gates.mie | 2 * gates.sie, vsstatus=2 * gates.vsie)
        for wire in (MSI, MEI):
            hart.set_irq(wire, bool(gates.pending >> wire & 1))
        hart.set_irq(SEI, False)
        hart.mtimecmp = 0 if gates.pending >> MTI & 1 else NEVER
        hart.privilege, hart.virtual, hart.pc, hart.waiting = gates.mode, gates.virtual, CODE, False
        return Gates(self._read("mip") & ALL, self._read("mie") & ALL, self._read("mideleg") & ALL,
                     self._read("hideleg") & ALL, gates.mode, gates.virtual, gates.mie, gates.sie, gates.vsie)

    def pick(self, gates: Gates) -> Taken | None:
        """Run it for a step, and look where it is."""
        self.set(gates)
        traps = self._hart.guest_traps
        self._hart.run(1)
        if self._hart.guest_traps == traps:
            return None
        target = "M" if self._hart.privilege == 3 else "VS" if self._hart.virtual else "HS"
        return Taken(target, self._read(_CAUSES[target]) & 63)

    def trap(self, hart: VirtualHart, cause: int, is_interrupt: bool) -> tuple[VirtualHart, int]:
        """Have a hart in the state of `hart`, which is at CODE, take a trap to S-mode; what it is then, and tval.

        An interrupt is taken if sie lets it; an exception is that of EXCEPTIONS.
        """
        real = self._hart
        self.set(Gates(bits(cause) if is_interrupt else 0, hart.csrs[SIE] & ALL, bits(SSI, STI, SEI), 0, hart.mode,
                       False, False, bool(hart.csrs[SSTATUS] & SSTATUS_SIE), False))
        self._write(medeleg=0xB1FF)
        for number in CSR_NAMES:
            if number not in (SIE, SIP, SSTATUS):
                real.write_csr(number, hart.csrs[number])
        self._write(sstatus=hart.csrs[SSTATUS])
        if not is_interrupt:
            self._memory.write(CODE, EXCEPTIONS[cause].to_bytes(4, "little"))
        real.write_gprs(hart.gprs)
        real.run(1)
        self._memory.write(CODE, _NOP.to_bytes(4, "little"))
        csrs = dict(hart.csrs) | {number: real.read_csr(number) for number in CSR_NAMES if number not in (SIE, SIP)}
        kept = hart.csrs[SSTATUS] & ~_STACK
        csrs[SSTATUS] = kept | csrs[SSTATUS] & _STACK
        after = VirtualHart(list(real.read_gprs()), real.pc, real.privilege, csrs, dict(hart.counters))
        return after, self._read("stval")

    def is_due(self, clock: Clock, deadline: int) -> bool:
        """Whether a timer with this deadline has fired by then: the hart's own says."""
        hart = Hart(self._memory, isa=DEFAULT_ISA, steps_per_tick=clock.steps_per_tick)
        hart.steps, hart.mtimecmp = clock.step, deadline
        return bool(hart.read_csr(BY_NAME["mip"].number) >> MTI & 1)

    def wait(self, hart: VirtualHart, clock: Clock, deadline: int) -> Wait | None:
        """Have a hart in this state execute wfi, with a timer of its own (Sstc), and look how long it sleeps."""
        real = Hart(self._memory, isa=DEFAULT_ISA, steps_per_tick=clock.steps_per_tick)
        for name, value in (("pmpaddr0", (1 << 54) - 1), ("pmpcfg0", 0x1F), ("menvcfg", 1 << 63), ("medeleg", 0xB1FF),
                            ("mideleg", bits(SSI, STI, SEI)), ("stimecmp", deadline), ("sie", hart.csrs[SIE]),
                            ("mip", hart.csrs[SIP] & bits(SSI, SEI)), ("stvec", CODE + 0x500), ("mtvec", CODE + 0x400),
                            ("sstatus", 0)):  # SIE is off, or what is pending would be taken before the wfi
            real.write_csr(BY_NAME[name].number, value)
        real.privilege, real.pc = hart.mode, CODE
        real.steps = real.idle_steps = clock.step
        self._memory.write(CODE, _WFI.to_bytes(4, "little"))
        traps = real.guest_traps
        real.run(1)
        self._memory.write(CODE, _NOP.to_bytes(4, "little"))
        if real.guest_traps != traps:
            return None
        exit = real.run(_LONG)
        if exit.reason == EXIT_WFI:
            return Wait(True)
        slept = real.idle_steps - clock.step
        return Wait(True, clock.step + 1 + slept) if slept else Wait(False)
