"""Lab 4: the reference answer."""

from __future__ import annotations

from hartvisor.labs.kit.paging import (
    ACCESS_FAULT,
    FETCH,
    LOAD,
    PAGE_FAULT,
    PAGE_SHIFT,
    PTE_A,
    PTE_D,
    PTE_R,
    PTE_RESERVED,
    PTE_SIZE,
    PTE_U,
    PTE_V,
    PTE_W,
    PTE_X,
    STORE,
    Context,
    Machine,
    Verdict,
    Walk,
)

RWX = PTE_R | PTE_W | PTE_X
FLAGS = RWX | PTE_U | PTE_A | PTE_D
PPN = (1 << 44) - 1
LEVELS = (2, 1, 0)


def ppn(pte: int) -> int:
    """The page number in an entry."""
    return pte >> 10 & PPN


def index(gva: int, level: int) -> int:
    """Which entry of a table at a level."""
    return gva >> PAGE_SHIFT + 9 * level & 511


def allows(flags: int, context: Context, access: int) -> bool:
    """U, SUM, MXR and R, W, X."""
    if context.mode == 0:
        if not flags & PTE_U:
            return False
    elif flags & PTE_U and (access == FETCH or not context.sum):
        return False
    if access == LOAD:
        return bool(flags & PTE_R or (context.mxr and flags & PTE_X))
    return bool(flags & (PTE_X if access == FETCH else PTE_W))


class ShadowPager:
    """Shadow tables of Sv39: from the guest's virtual addresses to the machine's frames."""

    def use(self, machine: Machine) -> None:
        """The machine whose frames it takes."""
        self.machine = machine
        self.roots: dict[Context, int] = {}
        self.tables: dict[tuple[int, int], int] = {}

    def walk_guest(self, context: Context, gva: int, access: int) -> Walk:
        """What the guest's own tables say of an access."""
        if context.satp >> 60 == 0:
            return Walk(None, gva, RWX | PTE_A | PTE_D)
        if gva >> 38 not in (0, (1 << 26) - 1):
            return Walk(PAGE_FAULT[access])
        table = (context.satp & PPN) << PAGE_SHIFT
        for level in LEVELS:
            pte = self.machine.load_guest(table + index(gva, level) * PTE_SIZE)
            if pte is None:
                return Walk(ACCESS_FAULT[access])
            if not pte & PTE_V or pte & (PTE_R | PTE_W) == PTE_W or pte & PTE_RESERVED:
                return Walk(PAGE_FAULT[access])
            if pte & RWX:
                return self._leaf(context, gva, access, pte, level)
            if pte & (PTE_A | PTE_D | PTE_U):
                return Walk(PAGE_FAULT[access])
            table = ppn(pte) << PAGE_SHIFT
        return Walk(PAGE_FAULT[access])

    def _leaf(self, context: Context, gva: int, access: int, pte: int, level: int) -> Walk:
        needed = PTE_A | (PTE_D if access == STORE else 0)
        inside = (1 << PAGE_SHIFT + 9 * level) - 1
        is_misaligned = ppn(pte) & (1 << 9 * level) - 1
        if is_misaligned or not allows(pte, context, access) or pte & needed != needed:
            return Walk(PAGE_FAULT[access])
        return Walk(None, ppn(pte) << PAGE_SHIFT | gva & inside, pte & FLAGS)

    def classify_fault(self, context: Context, gva: int, access: int) -> Verdict:
        """Whose fault is it?"""
        found = self.walk_guest(context, gva, access)
        if found.cause is not None:
            return Verdict("guest", found.cause)
        if self.machine.frame(found.gpa) is not None:
            return Verdict("shadow", gpa=found.gpa)
        return Verdict("guest", ACCESS_FAULT[FETCH]) if access == FETCH else Verdict("device", gpa=found.gpa)

    def root(self, context: Context) -> int:
        """The root for a context: one for each, kept until a fence."""
        if context not in self.roots:
            self.roots[context] = self.machine.allocate()
        return self.roots[context]

    def shadow_fill(self, context: Context, gva: int, access: int) -> None:
        """Map the page, with all that the guest may do there in this context, and no more."""
        found = self.walk_guest(context, gva, access)
        frame = self.machine.frame(found.gpa)
        assert found.cause is None and frame is not None
        table = self.root(context)
        for level in LEVELS[:-1]:
            place = (table, index(gva, level))
            if place not in self.tables:
                self.tables[place] = self.machine.allocate()
                self.machine.store(table + place[1] * PTE_SIZE, self.tables[place] >> 2 | PTE_V)
            table = self.tables[place]
        self.machine.store(table + index(gva, 0) * PTE_SIZE, frame >> 2 | self.leaf_flags(context, found.flags))

    def leaf_flags(self, context: Context, flags: int) -> int:
        """The real leaf's flags: U always, since the guest runs in U-mode, and R, W, X as far as it may."""
        if context.satp >> 60 == 0:
            return PTE_V | PTE_U | flags
        rights = sum(bit for access, bit in ((LOAD, PTE_R), (STORE, PTE_W), (FETCH, PTE_X))
                     if allows(flags, context, access))
        if not flags & PTE_D:
            rights &= ~PTE_W
        return PTE_V | PTE_U | PTE_A | PTE_D | rights

    def on_sfence(self, context: Context, gva: int | None, asid: int | None) -> None:
        """Drop what the fence is about: of one page, or of whole roots; of one address space, or all."""
        for each in list(self.roots):
            if asid is not None and each.satp >> 44 & 0xFFFF != asid:
                continue
            if gva is None:
                self.drop(self.roots.pop(each))
            else:
                self.drop_page(self.roots[each], gva)

    def drop(self, table: int) -> None:
        """A table, and those below it."""
        for place in [place for place in self.tables if place[0] == table]:
            self.drop(self.tables.pop(place))
        self.machine.free(table)

    def drop_page(self, table: int, gva: int) -> None:
        """One leaf."""
        for level in LEVELS[:-1]:
            below = self.tables.get((table, index(gva, level)))
            if below is None:
                return
            table = below
        self.machine.store(table + index(gva, 0) * PTE_SIZE, 0)
