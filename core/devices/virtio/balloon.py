"""The balloon (virtio 5.5): pages that the guest lends to the host, and takes back when it may."""

from collections.abc import Callable, Iterable
from struct import Struct, iter_unpack
from typing import Final

from ..device import State, bytes_of, int_of
from .device import VirtioDevice
from .queue import Chain

F_MUST_TELL_HOST = 1 << 0
F_STATS_VQ = 1 << 1
F_DEFLATE_ON_OOM = 1 << 2

INFLATE = 0
DEFLATE = 1
STATS = 2

ACTUAL: Final = 4  # offset in the configuration space
PAGE_SHIFT: Final = 12  # of the addresses in the queues, whatever the guest's pages are
STATISTIC = Struct("<HQ")
#: Bytes of addresses, or of statistics, that are looked at in one chain. Linux sends 1 KiB.
MOST: Final = 64 << 10

#: Names of the statistics (virtio 5.5.6.3), by tag.
STATISTICS: Final = (
    "swap_in", "swap_out", "major_faults", "minor_faults", "free", "total", "available", "caches",
    "huge_pages_allocated", "huge_pages_failed",
)  # fmt: skip

Pages = Callable[[tuple[int, ...]], None]


def ignore(gpas: tuple[int, ...]) -> None:
    """A host that does nothing with the pages it gets."""


class VirtioBalloon(VirtioDevice):
    """The balloon. on_inflate, on_deflate: called with the gpas of pages that the guest gives, or is about to use
    again, before it is told that they are taken.

    pages: gpas in the balloon. statistics: what the guest last reported, by name; times and faults are counts, sizes
    bytes.
    """

    device_id = 5
    queue_sizes = (128, 128, 8)
    features = F_MUST_TELL_HOST | F_STATS_VQ | F_DEFLATE_ON_OOM

    def __init__(self, on_inflate: Pages = ignore, on_deflate: Pages = ignore) -> None:
        super().__init__()
        self.pages: set[int] = set()
        self.statistics: dict[str, int] = {}
        self.on_inflate = on_inflate
        self.on_deflate = on_deflate
        self._target = 0
        self._actual = 0
        self._held: int | None = None  # head of the statistics buffer that we keep until we want new ones

    @property
    def config(self) -> bytes:
        """num_pages and actual (virtio 5.5.4)."""
        return self._target.to_bytes(4, "little") + self._actual.to_bytes(4, "little")

    def write_config(self, offset: int, data: bytes) -> None:
        """The driver says how many pages the balloon holds."""
        if offset == ACTUAL and len(data) == 4:
            self._actual = int.from_bytes(data, "little")

    @property
    def target(self) -> int:
        """Pages of 4 KiB that the host would like to have; setting it tells the driver."""
        return self._target

    @target.setter
    def target(self, pages: int) -> None:
        self._target = pages
        if self.link is not None:
            self.link.change_config()

    @property
    def actual(self) -> int:
        """Pages that the driver says are in the balloon."""
        return self._actual

    def ask_for_statistics(self) -> None:
        """Have the guest report anew; its answer appears in `statistics`."""
        self.serve(self._return_held)

    def notify(self, index: int) -> None:
        """Pages given or taken back, or statistics."""
        assert self.link is not None
        queue = self.link.queues[index]
        while (chain := queue.pop()) is not None:
            if index == STATS:
                self._return_held()
                data = chain.read(min(chain.readable, MOST))
                self._take_statistics(data[: len(data) // STATISTIC.size * STATISTIC.size])
                self._held = chain.head
                continue
            data = chain.read(min(chain.readable, MOST))
            numbers = (number for (number,) in iter_unpack("<I", data[: len(data) // 4 * 4]))
            gpas = self._in_ram(number << PAGE_SHIFT for number in numbers)
            if index == INFLATE:
                self.pages.update(gpas)
                self.on_inflate(gpas)
            else:
                self.pages.difference_update(gpas)
                self.on_deflate(gpas)
            queue.push(chain)

    def _in_ram(self, gpas: Iterable[int]) -> tuple[int, ...]:
        """Those that are pages of RAM; a guest that gives others gives nothing."""
        assert self.link is not None
        ram = self.link.queues[INFLATE].ram
        return tuple(gpa for gpa in gpas if ram.contains(gpa, 1 << PAGE_SHIFT))

    def _take_statistics(self, data: bytes) -> None:
        for tag, value in STATISTIC.iter_unpack(data):
            if tag < len(STATISTICS):
                self.statistics[STATISTICS[tag]] = value

    def _return_held(self) -> None:
        assert self.link is not None
        if self._held is not None:
            queue = self.link.queues[STATS]
            queue.push(Chain(self._held, queue.ram, [], []))
            self._held = None

    def reset(self) -> None:
        """The pages are the guest's again."""
        if self.pages:
            self.on_deflate(tuple(sorted(self.pages)))
        self.pages.clear()
        self.statistics.clear()
        self._actual = 0
        self._held = None

    def save(self) -> State:
        """Target and contents; page numbers in four bytes each."""
        numbers = b"".join((gpa >> PAGE_SHIFT).to_bytes(4, "little") for gpa in sorted(self.pages))
        statistics = b"".join(STATISTIC.pack(STATISTICS.index(name), value) for name, value in self.statistics.items())
        return {
            "target": self._target,
            "actual": self._actual,
            "pages": numbers,
            "statistics": statistics,
            "held": -1 if self._held is None else self._held,
        }

    def restore(self, state: State) -> None:
        """Become the saved balloon. The callbacks are not called: frames are for whoever restores memory."""
        self._target = int_of(state, "target")
        self._actual = int_of(state, "actual")
        self.pages = {number << PAGE_SHIFT for (number,) in iter_unpack("<I", bytes_of(state, "pages"))}
        self.statistics.clear()
        self._take_statistics(bytes_of(state, "statistics"))
        held = int_of(state, "held")
        self._held = None if held < 0 else held
