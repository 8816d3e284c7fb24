"""The right snapshots, the hypervisor's own, and broken ones: what students' tests are to tell apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ...core.hart import Memory
from ...core.machine.memory_map import RAM_BASE
from ...core.machine.paged import DirtyLog, Paged
from ...core.vmm.frames import FrameAllocator
from ...core.vmm.guest_memory import GuestMemory
from ...core.vmm.snapshots import Snapshot, Snapshots
from ..lab import RIGHT

PAGES: Final = 64


class Guest:
    """A guest of one register and 64 pages."""

    def __init__(self) -> None:
        memory = Memory(1 << 20, base=RAM_BASE)
        self.ram = GuestMemory(memory, FrameAllocator(memory), 0, PAGES << 12)
        self.paged: tuple[Paged, ...] = (self.ram,)
        self.register = 0
        self.steps = 0

    def save(self) -> int:
        """The register."""
        return self.register

    def restore(self, state: Any) -> None:
        """The register."""
        self.register = state


class Right:
    """What tests call."""

    def __init__(self) -> None:
        self.new_guest()

    def new_guest(self) -> None:
        """Another guest, of zeros; no page has a frame, and no snapshot is there."""
        self.guest = Guest()
        self.snapshots = Snapshots(self.guest)
        self.kept: dict[int, Snapshot] = {}
        self.count = 0
        self.snapshots.take()  # so that there always is a parent, and each of the others can be forgotten

    def store(self, gfn: int, value: int) -> None:
        """The guest stores to the beginning of a page."""
        self.guest.ram.store(self._page(gfn), 8, value & (1 << 64) - 1)

    def device_store(self, gfn: int, value: int) -> None:
        """A device does."""
        self.guest.ram.write(self._page(gfn), (value & (1 << 64) - 1).to_bytes(8, "little"))

    def load(self, gfn: int) -> int:
        """What stands there."""
        return self.guest.ram.load(self._page(gfn), 8)

    def set_register(self, value: int) -> None:
        """The guest's register."""
        self.guest.register = value

    def register(self) -> int:
        """What it holds."""
        return self.guest.register

    def _page(self, gfn: int) -> int:
        if type(gfn) is not int or not 0 <= gfn < PAGES:
            raise ValueError(f"page {gfn!r}: there are 0 to {PAGES - 1}")
        return gfn << 12

    def snapshot(self) -> int:
        """Its number."""
        self.count += 1
        self.kept[self.count] = self.snapshots.take()
        return self.count

    def _find(self, number: int) -> Snapshot:
        if number not in self.kept:
            raise ValueError(f"no snapshot {number!r}")
        return self.kept[number]

    def restore(self, number: int) -> None:
        """Back to it."""
        self.snapshots.restore(self._find(number))

    def forget(self, number: int) -> None:
        """It is needed no more."""
        snapshot = self._find(number)
        del self.kept[number]
        if snapshot is not self.snapshots.here:
            self.snapshots.forget(snapshot)

    def dirty_log(self) -> list[int]:
        """The pages stored to since the last."""
        return self.guest.ram.take_dirty(DirtyLog.MIGRATION)


class ForgetsRegister(Right):
    """Only memory comes back."""

    def restore(self, number: int) -> None:
        """The register stays."""
        register = self.guest.register
        super().restore(number)
        self.guest.register = register


class MissesDevices(Right):
    """Stores of devices are in no log."""

    def new_guest(self) -> None:
        """None has been missed yet."""
        super().new_guest()
        self.heard: set[int] = set()
        self.missed: set[int] = set()

    def store(self, gfn: int, value: int) -> None:
        """The guest's own."""
        super().store(gfn, value)
        self.heard.add(gfn)

    def device_store(self, gfn: int, value: int) -> None:
        """Not heard of."""
        super().device_store(gfn, value)
        self.missed.add(gfn)

    def restore(self, number: int) -> None:
        """It changes them anyway."""
        super().restore(number)
        self.missed.clear()

    def dirty_log(self) -> list[int]:
        """Without those."""
        log = [gfn for gfn in super().dirty_log() if gfn in self.heard or gfn not in self.missed]
        self.heard.clear()
        self.missed.clear()
        return log


class NeverClears(Right):
    """The log goes on to have what it had."""

    def new_guest(self) -> None:
        """Nothing yet."""
        super().new_guest()
        self.all: set[int] = set()

    def dirty_log(self) -> list[int]:
        """Everything so far."""
        self.all.update(super().dirty_log())
        return sorted(self.all)


class RestoreIsNoStore(Right):
    """What a restore changes is not logged."""

    def restore(self, number: int) -> None:
        """The log keeps what it had; the rest that changed is dropped."""
        before = super().dirty_log()
        super().restore(number)
        super().dirty_log()
        for gfn in before:
            self.guest.ram.write(gfn << 12, self.guest.ram.read(gfn << 12, 8))
        self.snapshots.stand_at(self._find(number))


class KeepsNewPages(Right):
    """A page that had no frame when the snapshot was taken keeps what it got since."""

    def restore(self, number: int) -> None:
        """Pages that are zeros in the snapshot stay as they are."""
        ram = self.guest.ram
        kept = {gfn: ram.read_page(gfn) for gfn in ram.written()}
        super().restore(number)
        for gfn, page in kept.items():
            if ram.read_page(gfn) is None and page is not None:
                ram.write_page(gfn, page)


class OneStepBack(Right):
    """A restore brings back only the pages that were stored to since the last snapshot."""

    def restore(self, number: int) -> None:
        """Older changes stay."""
        ram = self.guest.ram
        changed = set(ram.take_dirty(DirtyLog.SNAPSHOT))
        kept = {gfn: ram.read_page(gfn) for gfn in ram.written() if gfn not in changed}
        for gfn in changed:
            ram.write_page(gfn, ram.read_page(gfn))
        super().restore(number)
        for gfn, page in kept.items():
            ram.write_page(gfn, page)


class ForgetsTooMuch(Right):
    """The pages of a snapshot that is forgotten are gone, though a later one shares them."""

    def forget(self, number: int) -> None:
        """Nobody takes them over."""
        snapshot = self._find(number)
        heirs = [(child, tuple(dict(pages) for pages in child.pages)) for child in snapshot.children]
        super().forget(number)
        for child, pages in heirs:
            child.pages = pages


VERSIONS: Final[dict[str, Callable[[], object]]] = {
    RIGHT: Right, "forgets-register": ForgetsRegister, "misses-devices": MissesDevices, "never-clears": NeverClears,
    "restore-is-no-store": RestoreIsNoStore, "keeps-new-pages": KeepsNewPages, "one-step-back": OneStepBack,
    "forgets-too-much": ForgetsTooMuch}
