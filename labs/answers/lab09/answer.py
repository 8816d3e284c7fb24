"""Lab 9: the reference answer."""

from __future__ import annotations

from hartvisor.labs.kit.paging import (
    ACCESS_FAULT,
    FETCH,
    LOAD,
    PAGE_FAULT,
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
    Verdict,
)
from hartvisor.labs.kit.two_stage import (
    GUEST_PAGE_FAULT,
    HGATP,
    HTIMEDELTA,
    HVIP,
    SCOUNTEREN,
    SENVCFG,
    VSATP,
    VSCAUSE,
    VSEPC,
    VSIE,
    VSSCRATCH,
    VSSTATUS,
    VSTVAL,
    VSTVEC,
    Found,
    GuestFault,
    Host,
    Ram,
    View,
    World,
)

PPN = (1 << 44) - 1
RWX = PTE_R | PTE_W | PTE_X
FULL = PTE_V | RWX | PTE_U | PTE_A | PTE_D
SWAPPED = (VSSTATUS, VSIE, VSTVEC, VSSCRATCH, VSEPC, VSCAUSE, VSTVAL, VSATP, SCOUNTEREN, SENVCFG, HTIMEDELTA, HVIP,
           HGATP)


def ppn(pte: int) -> int:
    """The page number in an entry."""
    return pte >> 10 & PPN


def is_valid(pte: int, level: int) -> bool:
    """Whether the entry is one at all, for a table or for a page."""
    if not pte & PTE_V or pte & (PTE_R | PTE_W) == PTE_W or pte & PTE_RESERVED:
        return False
    if not pte & RWX:
        return not pte & (PTE_A | PTE_D | PTE_U)
    return not ppn(pte) & (1 << 9 * level) - 1


def allows(pte: int, access: int, mxr: bool) -> bool:
    """R, W, X, A and D."""
    needed = PTE_A | (PTE_D if access == STORE else 0)
    if pte & needed != needed:
        return False
    if access == LOAD:
        return bool(pte & PTE_R or (mxr and pte & PTE_X))
    return bool(pte & (PTE_X if access == FETCH else PTE_W))


def inside(pte: int, level: int, address: int) -> int:
    """Where a leaf leads."""
    return ppn(pte) << 12 | address & (1 << 12 + 9 * level) - 1


class TwoStage:
    """A hypervisor's part in two-stage translation."""

    def use(self, host: Host, vmid: int) -> None:
        """The machine below, and the guest's VMID."""
        self.host = host
        self.vmid = vmid

    # --- what the hart does

    def two_stage_translate(self, view: View, gva: int, access: int, as_code: bool, ram: Ram) -> Found:
        """GVA to GPA by the guest's tables, to HPA by ours."""
        checked = FETCH if as_code else access
        if not view.vsatp >> 60:
            return self.second(view, gva, checked, access, ram, False)
        if gva >> 38 not in (0, (1 << 26) - 1):
            return Found(PAGE_FAULT[access])
        table = (view.vsatp & PPN) << 12
        for level in (2, 1, 0):
            place = self.second(view, table + PTE_SIZE * (gva >> 12 + 9 * level & 511), LOAD, access, ram, True)
            if place.cause is not None:
                return place
            pte = ram.load(place.hpa)
            if pte is None:
                return Found(ACCESS_FAULT[access])
            if not is_valid(pte, level):
                break
            if pte & RWX:
                is_users = bool(pte & PTE_U)
                may = is_users if view.mode == 0 else not is_users or (view.sum and access != FETCH)
                if not may or not allows(pte, checked if access == LOAD else access, view.mxr or view.vmxr):
                    break
                return self.second(view, inside(pte, level, gva), checked, access, ram, False)
            table = ppn(pte) << 12
        return Found(PAGE_FAULT[access])

    def second(self, view: View, gpa: int, checked: int, access: int, ram: Ram, is_implicit: bool) -> Found:
        """GPA to HPA. checked: what the entry must allow; access: what the guest was about, which a fault tells."""
        if not view.hgatp >> 60:
            return Found(None, gpa, gpa)
        fault = Found(GUEST_PAGE_FAULT[access], 0, gpa, is_implicit)
        if gpa >> 41:
            return fault
        table, index = (view.hgatp & PPN & ~3) << 12, gpa >> 30
        for level in (2, 1, 0):
            pte = ram.load(table + PTE_SIZE * index)
            if pte is None:
                return Found(ACCESS_FAULT[access])
            if not is_valid(pte, level):
                return fault
            if pte & RWX:
                if not pte & PTE_U or not allows(pte, checked, view.mxr and not is_implicit):
                    return fault
                return Found(None, inside(pte, level, gpa), gpa)
            table, index = ppn(pte) << 12, gpa >> 12 + 9 * (level - 1) & 511
        return fault

    def hlv(self, view: View, gva: int, size: int, is_signed: bool, ram: Ram) -> int | Found:
        """A load with the guest's eyes; 64 bits, as the register holds them."""
        value = self.load(view, gva, size, False, ram)
        if isinstance(value, int) and is_signed and value >> 8 * size - 1:
            return value | (1 << 64) - (1 << 8 * size)
        return value

    def hlvx(self, view: View, gva: int, size: int, ram: Ram) -> int | Found:
        """The same of code."""
        return self.load(view, gva, size, True, ram)

    def load(self, view: View, gva: int, size: int, as_code: bool, ram: Ram) -> int | Found:
        """Translate, then load."""
        found = self.two_stage_translate(view, gva, LOAD, as_code, ram)
        if found.cause is not None:
            return found
        value = ram.load(found.hpa, size)
        return Found(ACCESS_FAULT[LOAD]) if value is None else value

    def hsv(self, view: View, gva: int, size: int, value: int, ram: Ram) -> Found | None:
        """A store with the guest's eyes."""
        found = self.two_stage_translate(view, gva, STORE, False, ram)
        if found.cause is not None:
            return found
        ram.store(found.hpa, size, value)
        return None

    # --- what the hypervisor does

    def root(self) -> int:
        """The second stage's root."""
        self.top = self.host.allocate(4)
        return self.top

    def slot(self, gpa: int, makes: bool) -> int | None:
        """Where the leaf of a page is, or would be; None where there is no table for it."""
        table, index = self.top, gpa >> 30
        for shift in (21, 12):
            pte = self.host.load(table + PTE_SIZE * index)
            if not pte & PTE_V:
                if not makes:
                    return None
                pte = self.host.allocate() >> 2 | PTE_V
                self.host.store(table + PTE_SIZE * index, pte)
            table, index = ppn(pte) << 12, gpa >> shift & 511
        return table + PTE_SIZE * index

    def on_guest_fault(self, fault: GuestFault) -> Verdict:
        """RAM is mapped, a device emulated, and what is neither is the guest's own fault."""
        frame = self.host.frame(fault.gpa)
        if frame is not None:
            slot = self.slot(fault.gpa, True)
            assert slot is not None
            self.host.store(slot, frame >> 2 | FULL)
            return Verdict("mapped")
        if fault.access == FETCH or fault.is_implicit:
            return Verdict("guest", cause=ACCESS_FAULT[fault.access])
        return Verdict("device", gpa=fault.gpa)

    def unmap(self, gpa: int) -> None:
        """The page is about to lose its frame: no table leads there, and no translation that the hart has kept."""
        slot = self.slot(gpa, False)
        if slot is not None and self.host.load(slot) & PTE_V:
            self.host.store(slot, 0)
            self.host.hfence_gvma(gpa, self.vmid)

    def switch(self, leaving: World, entering: World) -> None:
        """One world out, one in; if the hart cannot tell their translations apart, none may be left."""
        leaving.csrs = {number: self.host.read_csr(number) for number in SWAPPED}
        for number in SWAPPED:
            self.host.write_csr(number, entering.csrs.get(number, 0))
        if leaving.vmid == entering.vmid:
            self.host.hfence_gvma()
            self.host.hfence_vvma()
