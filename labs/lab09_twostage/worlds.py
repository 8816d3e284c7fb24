"""Two guests that take turns on one hart, the student switching worlds; and each alone on a hart, to compare with."""

from __future__ import annotations

from random import Random
from typing import Final

from ...core.hart import EXIT_TRAP, HOST_HS, HOST_M, Hart, Memory
from ...core.isa import causes
from ...core.isa.paging import PAGE_SIZE
from ...core.isa.registers import ABI
from ...core.machine.memory_map import RAM_BASE
from ...core.vmm.frames import FrameAllocator
from ...core.vmm.gstage import GStage
from ...core.vmm.guest_isa import HOST_ISA
from ...core.vmm.techniques.hosted import delegate
from ...core.vmm.techniques.shadow import enter_virtual
from ..judge.guests import Guest
from ..judge.lockstep import csr_field
from ..judge.runner import Diverged, OutOfFuel
from ..judge.session import Refused, Session, number
from ..judge.trial import Trial
from ..judge.verdict import Divergence, failed
from ..kit.two_stage import HGATP, HTIMEDELTA, HVIP, Host, World
from .machine import csr
from .stage import ISA, fence

PAGES: Final = 16
"""Of each guest's RAM, from RAM_BASE."""
SIZE: Final = 2 << 20
STEPS: Final = 20_000
GUESTS: Final = ("vsstatus", "vsie", "vstvec", "vsscratch", "vsepc", "vscause", "vstval", "vsip", "vsatp", "scounteren",
                 "senvcfg", "htimedelta", "hvip", "hgatp")
"""What a guest sees, or lives by."""
OPEN: Final = frozenset(csr(name) for name in (*GUESTS, "hie", "hip", "hcounteren", "henvcfg"))
"""What a world switch may touch."""
_TO_GUEST: Final = causes.HEDELEG_MASK


class Place:
    """A hart, and the guests in its memory; each hart has the same guests at the same places.

    hgatp: by guest. stub: for instructions of the host's.
    """

    def __init__(self, guests: tuple[Guest, Guest], vmids: tuple[int, int], tlb: str) -> None:
        memory = Memory(SIZE, base=RAM_BASE)
        frames = FrameAllocator(memory)
        self.hart = Hart(memory, isa=HOST_ISA, hosts=HOST_M | HOST_HS, tlb=tlb)
        self.stub = frames.allocate("stub")
        self.hgatp = []
        for guest, vmid in zip(guests, vmids, strict=True):
            stage = GStage(memory, frames, RAM_BASE + PAGES * PAGE_SIZE)
            first = frames.allocate_contiguous("guest", PAGES)
            for page in range(PAGES):
                stage.map(RAM_BASE + page * PAGE_SIZE, first + page * PAGE_SIZE)
            memory.write(first, guest.program.code)
            self.hgatp.append(stage.hgatp(vmid))
        delegate(self.hart, (1 << 64) - 1, (1 << 64) - 1, ISA)
        enter_virtual(self.hart, ISA, self.hgatp[0], 0, _TO_GUEST)
        self.hart.pc = RAM_BASE

    def csrs(self) -> dict[str, int]:
        """What the guest on the hart has."""
        return {name: self.hart.read_csr(csr(name)) for name in GUESTS}

    def run(self) -> bool:
        """To the guest's next ecall, which retires; False if it does not come to one."""
        exit = self.hart.run(STEPS)
        if exit.reason != EXIT_TRAP or exit.is_interrupt or exit.cause != causes.ECALL_FROM_VS:
            return False
        self.hart.retire()
        return True


class Alone:
    """A guest with a hart to itself."""

    def __init__(self, guests: tuple[Guest, Guest], which: int, first: dict[int, int]) -> None:
        self.place = Place(guests, (1, 2), "precise")
        for each, value in (first | {HGATP: self.place.hgatp[which]}).items():
            self.place.hart.write_csr(each, value)


class Switching:
    """The two on one hart. vmids: theirs, which may be the same: then nothing but a fence tells their translations
    apart."""

    def __init__(self, trial: Trial, guests: tuple[Guest, Guest], vmids: tuple[int, int], random: Random,
                 student: Session) -> None:
        self._trial = trial
        self._guests = guests
        self._student = student
        self._place = Place(guests, vmids, "stale")
        self._hart = self._place.hart
        pending = random.sample((0, 0x40, 0x400, 0x440), 2)
        firsts = [{HGATP: self._place.hgatp[which], HTIMEDELTA: random.randrange(1, 1 << 40), HVIP: pending[which]}
                  for which in (0, 1)]
        self._alone = [Alone(guests, which, firsts[which]) for which in (0, 1)]
        for each, value in firsts[0].items():
            self._hart.write_csr(each, value)
        self._worlds = [World(vmid, first) for vmid, first in zip(vmids, firsts, strict=True)]
        self._saved: list[tuple[tuple[int, ...], int, int, tuple[int, int, int]]] = [
            ((0,) * 32, RAM_BASE, 1, (0, 0, 0)) for _ in (0, 1)]
        self.fences = self.switches = self.accesses = 0
        student.services.update({f"host.{name}": getattr(self, name) for name in (
            "read_csr", "write_csr", "hfence_gvma", "hfence_vvma")})
        student.call("TwoStage.use", Host(), vmids[0])

    def run(self, turns: int) -> dict[str, int]:
        """Turn by turn, until both have ended; what was counted. Raises Diverged, OutOfFuel, Stopped."""
        which = 0
        for _ in range(turns):
            self._trial.tick()
            self._compare(which, "behind the switch")
            came = self._alone[which].place.run()
            assert came, "a guest that does not come to its next ecall, even alone"
            if not self._place.run():
                hart = self._hart
                self._part(which, "pc", f"{hart.pc:#x}, where it traps to the host, or goes round",
                           f"{self._alone[which].place.hart.pc:#x}")
            self._compare(which, "at its next ecall")
            self._switch(which, 1 - which)
            which = 1 - which
        return {"switches": self.switches, "fences": self.fences, "accesses": self.accesses}

    def _switch(self, leaving: int, entering: int) -> None:
        hart = self._hart
        self._saved[leaving] = (hart.read_gprs(), hart.pc, hart.privilege,
                                (hart.steps, hart.idle_steps, hart.guest_traps))
        self._student.call("TwoStage.switch", self._worlds[leaving], self._worlds[entering])
        self.switches += 1
        gprs, pc, privilege, clock = self._saved[entering]
        hart.write_gprs(gprs)
        hart.pc, hart.privilege, hart.virtual = pc, privilege, True
        hart.steps, hart.idle_steps, hart.guest_traps = clock
        hart.reservation = -1

    def _compare(self, which: int, when: str) -> None:
        """The guest on the hart, with the same one alone. Raises Diverged."""
        mine, right = self._place, self._alone[which].place
        got, wanted = mine.csrs(), right.csrs()
        wanted["hgatp"] = mine.hgatp[which]
        for name, value in wanted.items():
            if got[name] != value:
                self._part(which, csr_field(name, got[name] ^ value), f"{got[name]:#x}", f"{value:#x}", when)
        for field, this, that in (("pc", mine.hart.pc, right.hart.pc), ("steps", mine.hart.steps, right.hart.steps)):
            if this != that:
                self._part(which, field, f"{this:#x}", f"{that:#x}", when)
        ours, theirs = mine.hart.read_gprs(), right.hart.read_gprs()
        if ours != theirs:
            index = next(each for each in range(32) if ours[each] != theirs[each])
            self._part(which, ABI[index], f"{ours[index]:#x}", f"{theirs[index]:#x}", when)

    def _part(self, which: int, field: str, got: str, wanted: str, when: str = "") -> None:
        hart, guest = self._alone[which].place.hart, self._guests[which]
        found = Divergence(hart.steps, hart.pc, guest.line_at(hart.pc), field, got, wanted)
        raise Diverged(failed(f"guest {which} {when or 'goes another way'}: {field} is not what it has alone", found,
                              switches=self.switches))

    # --- what the student's code asks

    def _number(self, what: object) -> int:
        self.accesses += 1
        if self.accesses > STEPS:
            raise OutOfFuel(f"more than {STEPS:,} CSR accesses")
        found = number(what, "a CSR's number", 12)
        if found not in OPEN:
            raise Refused(f"CSR {found:#x}: a world switch has no business there")
        return found

    def read_csr(self, what: object) -> int:
        """A CSR of the hart's."""
        return self._hart.read_csr(self._number(what))

    def write_csr(self, what: object, value: object) -> None:
        """The same."""
        try:
            self._hart.write_csr(self._number(what), number(value, "a CSR's value"))
        except KeyError:
            raise Refused(f"CSR {what!r:.20} is read-only") from None

    def hfence_gvma(self, gpa: object, vmid: object) -> None:
        """The instruction."""
        self.fences += 1
        fence(self._hart, self._place.stub, "hfence.gvma", None if gpa is None else number(gpa, "gpa") >> 2, vmid)

    def hfence_vvma(self, gva: object, asid: object) -> None:
        """The same."""
        self.fences += 1
        fence(self._hart, self._place.stub, "hfence.vvma", gva, asid)
