"""The student's ShadowPager in the real hypervisor: a deprivileged VM whose page faults, fences and roots go to it."""

from __future__ import annotations

from typing import Any, Final

from ...core.hart import Exit, Hart
from ...core.isa.paging import PAGE_SHIFT, PAGE_SIZE, PTE_PPN_SHIFT, PTE_R, PTE_U, PTE_V, PTE_W, PTE_X
from ...core.vmm.exits import HANDLED, ExitReason
from ...core.vmm.guest_isa import GUEST_ISA
from ...core.vmm.shadow_pages import Role
from ...core.vmm.techniques.deprivileged import Deprivileged
from ...core.vmm.techniques.shadow_paging import ACCESS_OF_FAULT
from ...core.vmm.vcpu import Vcpu
from ...core.vmm.walker import FETCH, LOAD, STORE, USER, walk
from ..judge.guests import Guest
from ..judge.lockstep import Lockstep
from ..judge.runner import Diverged
from ..judge.session import Refused, Session, Stopped, number
from ..judge.trial import Trial
from ..judge.verdict import Status
from ..kit.paging import Context, Machine, Verdict

ISA: Final = GUEST_ISA - {"Zihpm"}
OWNER: Final = "shadow"
MOST_TABLES: Final = 512
MOST_TRIES: Final = 3
"""Fills for one access, after which its shadow entry should be there."""
_RWX: Final = PTE_R | PTE_W | PTE_X
_PPN: Final = (1 << 44) - 1


class Roots:
    """What the technique asks of a pager, asked of the student's. active: the context of the root in use."""

    def __init__(self, shadowing: Shadowing) -> None:
        self._shadowing = shadowing
        self.active: Context | None = None

    def activate(self, satp: int, role: Role) -> int:
        """The satp value for the student's root."""
        context = Context(satp, 0 if role.is_user else 1, role.sum_, role.mxr)
        root = self._shadowing.root(context)
        self.active = context
        return 8 << 60 | root >> PAGE_SHIFT

    def satp_changed(self) -> None:
        """The next root tells."""

    def unmap(self, gfn: int) -> None:
        """Nothing takes frames from this guest."""

    def fence(self, gva: int | None, asid: int | None) -> None:
        """The guest's sfence.vma."""
        self._shadowing.fence(gva, asid)


class Shadowing:
    """The hypervisor with the student's pager in it, in lockstep with the bare hart."""

    def __init__(self, trial: Trial, guest: Guest, most: int = 20_000, student: Session | None = None) -> None:
        self._student = student or trial.student
        self._student.services.update({f"machine.{name}": getattr(self, name) for name in (
            "load_guest", "frame", "allocate", "free", "store", "clear")})
        self._tables: set[int] = set()
        self._last: tuple[int, int, int] = (-1, -1, -1)
        self._tries = 0
        self.fills = 0
        self.roots: dict[Context, int] = {}
        shadowing = self

        class StudentsShadow(Deprivileged):
            """As shipped, with the student's pager in our pager's place."""

            def __init__(self, vm: Any, hart: Hart, peer: Any = None) -> None:
                super().__init__(vm, hart, peer)
                self.pager = Roots(shadowing)  # type: ignore[assignment]

            def handle_page_fault(self, vcpu: Vcpu, exit: Exit) -> bool:
                """Page faults are the student's to judge."""
                return shadowing.page_fault(self, vcpu, exit)

        self.lockstep = Lockstep(trial, guest, guest.config(StudentsShadow, isa=ISA), most)
        self._vm = self.lockstep.vm
        self._student.call("ShadowPager.use", Machine())

    def run(self, budget: int) -> dict[str, int]:
        """Run the guest to its end; what was counted. Raises Diverged, OutOfFuel, Stopped."""
        self.lockstep.run(budget)
        return {"exits": self.lockstep.exits, "fills": self.fills, "tables": len(self._tables),
                "instructions": self._vm.instructions}

    # --- what the hypervisor asks

    def context(self, vcpu: Vcpu) -> Context:
        """The guest's."""
        active = vcpu.technique.pager.active  # type: ignore[attr-defined]
        assert isinstance(active, Context)
        return active

    def root(self, context: Context) -> int:
        """The student's root for a context."""
        root = self._student.call("ShadowPager.root", context)
        if root not in self._tables:
            raise Stopped(Status.FAIL, f"root({context}) gave {root!r:.40}, which is no table that you allocated")
        self.roots[context] = root
        self.look_all(context)
        return int(root)

    def fence(self, gva: int | None, asid: int | None) -> None:
        """sfence.vma: the student drops what it must; then nothing stale may be left of what the fence was for."""
        vcpu = self._vm.vcpus[0]
        self.lockstep.enter(vcpu)
        active = self.context(vcpu)
        self._student.call("ShadowPager.on_sfence", active, gva, asid)
        self._fenced(gva, asid)

    def _fenced(self, gva: int | None, asid: int | None) -> None:
        for context in list(self.roots):
            if asid is None or context.satp >> 44 & 0xFFFF == asid:
                self.look_all(context, gva)
        technique = self._vm.vcpus[0].technique
        technique.csrs.is_stale = True  # type: ignore[attr-defined]  # the student may have another root now

    def page_fault(self, technique: Deprivileged, vcpu: Vcpu, exit: Exit) -> bool:
        """The real hart had no translation, or one that forbids: whose fault is it?"""
        self.lockstep.enter(vcpu)
        access, gva, context = ACCESS_OF_FAULT[exit.cause], exit.tval, self.context(vcpu)
        said = self._student.call("ShadowPager.classify_fault", context, gva, access)
        wanted = self.judge(context, gva, access)
        if said != wanted:
            where = f"classify_fault({gva:#x}, {('fetch', 'load', 'store')[access]})"
            self.lockstep.part(where, _shown(said), _shown(wanted), False)
        if wanted.kind == "guest":
            technique.reflect(wanted.cause, gva)
        elif wanted.kind == "device":
            technique.emulate(exit, ExitReason.MMIO_LOAD if access == LOAD else ExitReason.MMIO_STORE, wanted.gpa)
        else:
            self._fill(vcpu, context, gva, access)
            return HANDLED
        self.lockstep.leave(vcpu, {})
        return HANDLED

    def judge(self, context: Context, gva: int, access: int) -> Verdict:
        """What is right, by the hypervisor's own walker."""
        found = walk(self._vm.ram.load_pte, context.satp, gva, access, context.mode == USER, context.sum, context.mxr)
        if found.cause is not None:
            return Verdict("guest", found.cause)
        if self._vm.ram.contains(found.gpa):
            return Verdict("shadow", gpa=found.gpa)
        return Verdict("guest", 1) if access == FETCH else Verdict("device", gpa=found.gpa)

    def _fill(self, vcpu: Vcpu, context: Context, gva: int, access: int) -> None:
        vcpu.exits[ExitReason.SHADOW_FILL] += 1
        self.fills += 1
        place = (vcpu.hart.steps, gva, access)
        self._tries = self._tries + 1 if place == self._last else 1
        self._last = place
        if self._tries > MOST_TRIES:
            self.lockstep.part(f"shadow entry of {gva:#x}", "absent or too narrow after shadow_fill",
                               "one that lets the access through", False)
        self._student.call("ShadowPager.shadow_fill", context, gva, access)
        self.look_all(context, gva)

    # --- looking at the student's tables

    def look_all(self, context: Context, gva: int | None = None) -> None:
        """Hold each present leaf below a context's root (or the one for `gva`) against the guest's tables. Raises
        Diverged."""
        root = self.roots.get(context)
        if root is None or root not in self._tables:
            return
        self._look(context, root, 2, 0, gva)

    def _look(self, context: Context, table: int, level: int, base: int, gva: int | None) -> None:
        memory = self._vm.ram.memory
        shift = PAGE_SHIFT + 9 * level
        indices = range(512) if gva is None else (gva >> shift & 511,)
        entries = memoryview(bytes(memory.read(table, PAGE_SIZE))).cast("Q")
        for index in indices:
            pte = entries[index]
            if not pte & PTE_V:
                continue
            address = base | index << shift
            hpa = (pte >> PTE_PPN_SHIFT & _PPN) << PAGE_SHIFT
            if pte & _RWX:
                self._leaf(context, address, hpa, pte, level)
            elif level and hpa in self._tables:
                self._look(context, hpa, level - 1, address, gva)
            else:
                self.lockstep.part(f"shadow table of {address:#x}", f"{hpa:#x}", "one that you allocated", False)

    def _leaf(self, context: Context, address: int, hpa: int, pte: int, level: int) -> None:
        gva = address - (1 << 39) & (1 << 64) - 1 if address >> 38 else address
        what = f"shadow leaf of {gva:#x}"
        if level:
            self.lockstep.part(what, f"{PAGE_SIZE << 9 * level >> 10} KiB", "4 KiB: frames lie anywhere", False)
        if not pte & PTE_U:
            self.lockstep.part(what + ".U", "0", "1: the guest runs in the real U-mode", False)
        # Without A, or without D for a store, the real hart faults: what it will not let through does no harm.
        is_used, is_dirty = pte >> 6 & 1, pte >> 7 & 1
        for access, bit, name in ((LOAD, PTE_R, "R"), (STORE, PTE_W, "W"), (FETCH, PTE_X, "X")):
            if not pte & bit or not is_used or (access == STORE and not is_dirty):
                continue
            wanted = self.judge(context, gva, access)
            if wanted.kind == "guest":
                self.lockstep.part(f"{what}.{name}", "1", f"0: the guest's tables forbid it (cause {wanted.cause})",
                                   False)
            if wanted.kind == "device" or self._vm.ram.frame(wanted.gpa >> PAGE_SHIFT) != hpa:
                self.lockstep.part(f"{what}.PPN", f"{hpa:#x}", f"the frame behind gpa {wanted.gpa:#x}", False)

    # --- what the student's code asks

    def load_guest(self, gpa: object) -> int | None:
        """Eight bytes."""
        place = number(gpa, "load_guest's gpa")
        return self._vm.ram.load_pte(place) if not place & 7 else None

    def frame(self, gpa: object) -> int | None:
        """The frame map."""
        place = number(gpa, "frame's gpa")
        return self._vm.ram.frame(place >> PAGE_SHIFT) if self._vm.ram.contains(place) else None

    def allocate(self) -> int:
        """A table."""
        if len(self._tables) >= MOST_TABLES:
            raise Refused(f"more than {MOST_TABLES} tables: give some back")
        hpa = self._vm.frames.allocate(OWNER)
        self._tables.add(hpa)
        return hpa

    def _own(self, hpa: object, what: str) -> int:
        place = number(hpa, f"{what}'s hpa")
        if place & -PAGE_SIZE not in self._tables:
            raise Refused(f"{what}({place:#x}): this is no table that you allocated")
        return place

    def free(self, hpa: object) -> None:
        """No table any more."""
        place = self._own(hpa, "free") & -PAGE_SIZE
        self.roots = {context: root for context, root in self.roots.items() if root != place}
        self._vm.ram.memory.fill_zero(place, PAGE_SIZE)
        self._tables.discard(place)
        self._vm.frames.free(place)

    def store(self, hpa: object, value: object) -> None:
        """An entry."""
        place = self._own(hpa, "store")
        if place & 7:
            raise Refused(f"store({place:#x}): entries are aligned to 8 bytes")
        self._vm.ram.memory.store(place, 8, number(value, "store's value"))

    def clear(self, hpa: object) -> None:
        """Zeros."""
        self._vm.ram.memory.fill_zero(self._own(hpa, "clear") & -PAGE_SIZE, PAGE_SIZE)


def _shown(verdict: object) -> str:
    if not isinstance(verdict, Verdict):
        return f"{verdict!r:.40}"
    return {"guest": f"guest, cause {verdict.cause}", "device": f"device at {verdict.gpa:#x}"}.get(
        verdict.kind, str(verdict.kind)[:20])


__all__ = ["ISA", "Diverged", "Shadowing"]
