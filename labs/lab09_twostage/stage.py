"""The student's second stage in the real hypervisor: a two-stage VM, on a hart that keeps what it may in its TLB."""

from __future__ import annotations

from random import Random
from typing import Any, Final

from ...core.hart import Exit, Hart
from ...core.isa.paging import PAGE_SHIFT, PAGE_SIZE, PTE_A, PTE_D, PTE_PPN_SHIFT, PTE_R, PTE_U, PTE_V, PTE_W, PTE_X
from ...core.vmm.exits import HANDLED, ExitReason
from ...core.vmm.guest_isa import GUEST_ISA
from ...core.vmm.techniques.two_stage import ACCESS_OF_FAULT, IMPLICIT_ACCESS, TwoStage
from ...core.vmm.vcpu import Vcpu
from ..judge.guests import Guest
from ..judge.lockstep import Lockstep
from ..judge.session import Refused, Session, Stopped, number
from ..judge.trial import Trial
from ..judge.verdict import Status
from ..kit.paging import ACCESS_FAULT, FETCH, LOAD, Verdict
from ..kit.two_stage import GuestFault, Host
from .machine import execute

ISA: Final = GUEST_ISA - {"Zihpm"}
VMID: Final = 5
OWNER: Final = "g-stage"
MOST_TABLES: Final = 512
MOST_TRIES: Final = 3
"""Faults at one address and step, after which its entry should be there."""
MOST_FENCES: Final = 5_000
POISON: Final = b"\xdb" * PAGE_SIZE
"""What lies in a frame that is the guest's no longer."""
_RWX: Final = PTE_R | PTE_W | PTE_X
_PPN: Final = (1 << 44) - 1
_MAPPED: Final = "mapped"


class Tables:
    """What the technique asks of its G-stage, asked of the student's."""

    def __init__(self, staging: Staging) -> None:
        self._staging = staging

    def hgatp(self, vmid: int) -> int:
        """The hgatp value for the student's root."""
        return 8 << 60 | VMID << 44 | self._staging.root >> PAGE_SHIFT

    def unmap(self, gpa: int) -> None:
        """Nothing else takes frames from this guest."""


class Staging:
    """The hypervisor with the student's second stage in it, in lockstep with the bare hart.

    moves: where choices come from of which frame the hypervisor takes away, and when; None: it takes none.
    """

    def __init__(self, trial: Trial, guest: Guest, moves: Random | None = None, student: Session | None = None,
                 most: int = 20_000) -> None:
        self._student = student or trial.student
        self._student.services.update({f"host.{name}": getattr(self, name) for name in (
            "frame", "allocate", "load", "store", "hfence_gvma", "hfence_vvma")})
        self.moves = moves
        self._tables: set[int] = set()
        self._last: tuple[int, int] = (-1, -1)
        self._tries = 0
        self._recent: list[int] = []
        self._moved_at = -1
        self.root = 0
        self.fills = self.fences = self.moved = 0
        staging = self

        class StudentsStage(TwoStage):
            """As shipped, with the student's tables in our G-stage's place."""

            def __init__(self, vm: Any, hart: Hart, peer: Any = None) -> None:
                super().__init__(vm, hart, peer)
                self.gstage = Tables(staging)  # type: ignore[assignment]
                staging.begin(vm, hart)

            def handle_guest_page_fault(self, vcpu: Vcpu, exit: Exit) -> bool:
                """Guest-page faults are the student's."""
                return staging.guest_page_fault(self, vcpu, exit)

            def run(self, limit: int) -> None:
                """As shipped; where frames move, step by step, since what is stale shows at any."""
                if staging.moves is None:
                    super().run(limit)
                while not self.vm.needs_attention and self.hart.steps < limit:
                    staging.lockstep.meet(self.vcpu)
                    super().run(self.hart.steps + 1)
                    staging.lockstep.agree()

        self.lockstep = Lockstep(trial, guest, guest.config(StudentsStage, isa=ISA, tlb="stale"), most)

    def begin(self, vm: Any, hart: Hart) -> None:
        """The VM is being made: its root, before anything else."""
        self._ram, self._frames, self._memory, self._hart = vm.ram, vm.frames, vm.ram.memory, hart
        self._stub = vm.frames.allocate("stub")
        self._student.call("TwoStage.use", Host(), VMID)
        root = self._student.call("TwoStage.root")
        if root not in self._tables or root % (4 * PAGE_SIZE) or not {
                root + PAGE_SIZE * page for page in range(4)} <= self._tables:
            raise Stopped(Status.FAIL, f"root() gave {root!r:.40}: it must be four frames that you allocated in a row")
        self.root = root

    def run(self, budget: int) -> dict[str, int]:
        """Run the guest to its end; what was counted. Raises Diverged, OutOfFuel, Stopped."""
        self.lockstep.run(budget)
        vm = self.lockstep.vm
        return {"exits": sum(vm.exits), "fills": self.fills, "fences": self.fences, "moved": self.moved,
                "tables": len(self._tables), "pages": vm.ram.resident, "instructions": vm.instructions}

    # --- what the hypervisor asks

    def guest_page_fault(self, technique: TwoStage, vcpu: Vcpu, exit: Exit) -> bool:
        """The second stage had no answer: what is to be done is the student's to say."""
        self.lockstep.enter(vcpu)
        access = ACCESS_OF_FAULT[exit.cause]
        fault = GuestFault(exit.gpa, access, exit.tinst in IMPLICIT_ACCESS)
        said = self._student.call("TwoStage.on_guest_fault", fault)
        wanted = self._judge(fault)
        if said != wanted:
            what = f"on_guest_fault({exit.gpa:#x}, {('fetch', 'load', 'store')[access]}, {fault.is_implicit})"
            self.lockstep.part(what, _shown(said), _shown(wanted), False)
        if wanted.kind == _MAPPED:
            self._filled(vcpu, fault)
            return HANDLED
        if wanted.kind == "guest":
            technique.reflect(wanted.cause, exit.tval)
        else:
            technique.emulate(exit, ExitReason.MMIO_LOAD if access == LOAD else ExitReason.MMIO_STORE, exit.gpa)
        self.lockstep.leave(vcpu, {})
        return HANDLED

    def _judge(self, fault: GuestFault) -> Verdict:
        if self._ram.contains(fault.gpa):
            return Verdict(_MAPPED)
        if fault.access == FETCH or fault.is_implicit:
            return Verdict("guest", cause=ACCESS_FAULT[fault.access])
        return Verdict("device", gpa=fault.gpa)

    def _filled(self, vcpu: Vcpu, fault: GuestFault) -> None:
        vcpu.exits[ExitReason.GSTAGE_FILL] += 1
        self.fills += 1
        place = (vcpu.hart.steps, fault.gpa)
        self._tries = self._tries + 1 if place == self._last else 1
        self._last = place
        self.look_all()
        if self._tries > MOST_TRIES:
            self.lockstep.part(f"G-stage entry of {fault.gpa:#x}", "absent or too narrow after on_guest_fault",
                               "one that lets the access through", False)
        self._recent.append(fault.gpa >> PAGE_SHIFT)
        if self.moves is not None and vcpu.hart.steps > self._moved_at and self.moves.random() < 0.5:
            self._moved_at = vcpu.hart.steps
            self._move(self.moves.choice(self._recent[-6:]))

    def _move(self, gfn: int) -> None:
        """The hypervisor wants the frame for something else: the page goes to another one, and poison into this."""
        gpa = gfn << PAGE_SHIFT
        self._student.call("TwoStage.unmap", gpa)
        data = self._ram.page(gfn)
        old = self._ram.frame(gfn)
        self._ram.release(gfn)
        self.look_all()
        taken = self._frames.allocate("another")
        assert taken == old
        self._memory.write(taken, POISON)
        self._ram.write(gpa, data)
        self.moved += 1

    # --- looking at the student's tables

    def look_all(self) -> None:
        """Hold each present leaf against the frame map. Raises Diverged."""
        self._look(self.root, 2, 0)

    def _look(self, table: int, level: int, base: int) -> None:
        size = PAGE_SIZE * (4 if level == 2 else 1)
        entries = memoryview(bytes(self._memory.read(table, size))).cast("Q")
        for index, pte in enumerate(entries):
            if not pte & PTE_V:
                continue
            gpa = base | index << PAGE_SHIFT + 9 * level
            hpa = (pte >> PTE_PPN_SHIFT & _PPN) << PAGE_SHIFT
            if pte & _RWX:
                self._leaf(gpa, hpa, pte, level)
            elif level and hpa in self._tables:
                self._look(hpa, level - 1, gpa)
            else:
                self.lockstep.part(f"G-stage table of {gpa:#x}", f"{hpa:#x}", "one that you allocated", False)

    def _leaf(self, gpa: int, hpa: int, pte: int, level: int) -> None:
        what = f"G-stage leaf of {gpa:#x}"
        if level:
            self.lockstep.part(what, f"{PAGE_SIZE << 9 * level >> 10} KiB", "4 KiB: frames lie anywhere", False)
        if not pte & PTE_U:
            self.lockstep.part(what + ".U", "0", "1: every access of a guest's is U-mode's to this stage", False)
        if not pte & PTE_A or not pte & PTE_D:
            self.lockstep.part(f"{what}.{'D' if pte & PTE_A else 'A'}", "0", "1: nobody will set it", False)
        frame = self._ram.frame_now(gpa >> PAGE_SHIFT) if self._ram.contains(gpa) else None
        if frame != hpa:
            wanted = "no leaf: the guest has no frame there" if frame is None else f"{frame:#x}, the page's frame"
            self.lockstep.part(f"{what}.PPN", f"{hpa:#x}", wanted, False)

    # --- what the student's code asks

    def frame(self, gpa: object) -> int | None:
        """The frame map."""
        place = number(gpa, "frame's gpa")
        return int(self._ram.frame(place >> PAGE_SHIFT)) if self._ram.contains(place) else None

    def allocate(self, frames: object) -> int:
        """Tables."""
        count = number(frames, "allocate's number of frames", 8)
        if count not in (1, 4) or len(self._tables) + count > MOST_TABLES:
            raise Refused(f"allocate({count}): 1 or 4, and {MOST_TABLES} together")
        hpa = self._frames.allocate(OWNER) if count == 1 else self._frames.allocate_contiguous(OWNER, count)
        self._tables |= {hpa + PAGE_SIZE * page for page in range(count)}
        return int(hpa)

    def _own(self, hpa: object, what: str) -> int:
        place = number(hpa, f"{what}'s hpa")
        if place & -PAGE_SIZE not in self._tables or place & 7:
            raise Refused(f"{what}({place:#x}): this is no entry of a table that you allocated")
        return place

    def load(self, hpa: object) -> int:
        """An entry."""
        return int(self._memory.load(self._own(hpa, "load"), 8))

    def store(self, hpa: object, value: object) -> None:
        """An entry."""
        self._memory.store(self._own(hpa, "store"), 8, number(value, "store's value"))

    def hfence_gvma(self, gpa: object, vmid: object) -> None:
        """The instruction, on the guest's hart."""
        self._count()
        place = None if gpa is None else number(gpa, "hfence_gvma's gpa") >> 2  # as rs1 has it
        fence(self._hart, self._stub, "hfence.gvma", place, vmid)

    def hfence_vvma(self, gva: object, asid: object) -> None:
        """The same."""
        self._count()
        fence(self._hart, self._stub, "hfence.vvma", gva, asid)

    def _count(self) -> None:
        self.fences += 1
        if self.fences > MOST_FENCES:
            raise Refused(f"more than {MOST_FENCES:,} fences")


def fence(hart: Hart, stub: int, name: str, first: object, second: object) -> None:
    """Execute hfence.gvma or hfence.vvma. None: x0. Raises Refused."""
    values = [None if each is None else number(each, f"an operand of {name}") for each in (first, second)]
    registers = [("a0" if index == 0 else "a1") if each is not None else "zero" for index, each in enumerate(values)]
    execute(hart, stub, f"{name} {registers[0]}, {registers[1]}", values[0] or 0, values[1] or 0)


def _shown(verdict: object) -> str:
    if not isinstance(verdict, Verdict):
        return f"{verdict!r:.40}"
    return {"guest": f"guest, cause {verdict.cause}", "device": f"device at {verdict.gpa:#x}"}.get(
        verdict.kind, str(verdict.kind)[:20])
