"""What lies where: names for guest physical addresses, from the board, the boot files and the image."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from ...machine.boot import initrd_region
from ...machine.memory_map import device_tree_region

if TYPE_CHECKING:
    from ..inspector import Inspector


class PlaceKind(StrEnum):
    """What a guest physical address leads to."""

    RAM = "RAM"
    DEVICE = "device"
    NOTHING = "nothing"     # an access fault


@dataclass(frozen=True)
class Place:
    """A named range of guest physical addresses, `size` bytes from `base`."""

    kind: PlaceKind
    name: str
    base: int
    size: int

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.base + self.size


class Places:
    """One VM's: devices, and RAM by what was loaded there."""

    def __init__(self, inspector: Inspector) -> None:
        vm = inspector.vm
        found = [Place(PlaceKind.DEVICE, region.name, region.base, region.size) for region, _ in vm.bus.slots]
        taken = []
        image, config = inspector.image, vm.config
        if image is not None:
            taken += [Place(PlaceKind.RAM, section.name, section.gpa, section.size) for section in image.sections]
            if not taken:
                taken += [Place(PlaceKind.RAM, "image", each.gpa, each.memory_size) for each in image.segments]
            initrd = initrd_region(len(config.initrd), image, config.memory)
            if initrd is not None:
                taken.append(Place(PlaceKind.RAM, "initrd", initrd.base, initrd.size))
            tree = device_tree_region(config.memory)
            taken.append(Place(PlaceKind.RAM, "device tree", tree.base, tree.size))
        self.all = (*found, *_with_gaps(sorted(taken, key=lambda place: place.base), vm.ram.base, vm.ram.size))
        self._bases = [place.base for place in self.all]

    def find(self, gpa: int) -> Place:
        """What an address leads to."""
        at = bisect_right(self._bases, gpa) - 1
        if at >= 0 and gpa < self.all[at].end:
            return self.all[at]
        base = self.all[at].end if at >= 0 else 0
        end = self.all[at + 1].base if at + 1 < len(self.all) else 1 << 64
        return Place(PlaceKind.NOTHING, "nothing", base, end - base)


def _with_gaps(places: list[Place], base: int, size: int) -> list[Place]:
    """All of RAM: the named places, each as far as the next, and what is between them."""
    found, at, end = [], base, base + size
    for place in places:
        start = max(place.base, at)
        if start > at:
            found.append(Place(PlaceKind.RAM, "RAM", at, start - at))
        if place.end > start:
            found.append(Place(PlaceKind.RAM, place.name, start, place.end - start))
        at = max(at, place.end)
    if at < end:
        found.append(Place(PlaceKind.RAM, "RAM", at, end - at))
    return found


_PLACES: WeakKeyDictionary[Inspector, Places] = WeakKeyDictionary()


def places_of(inspector: Inspector) -> Places:
    """A VM's, which never change."""
    found = _PLACES.get(inspector)
    if found is None:
        found = _PLACES[inspector] = Places(inspector)
    return found


def place_of(inspector: Inspector, gpa: int) -> Place:
    """What a guest physical address leads to."""
    return places_of(inspector).find(gpa)
