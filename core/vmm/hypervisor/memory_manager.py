"""The machine's memory among its VMs, at barriers: who gets frames for the next round, and who has to give some.

As in ESX (Waldspurger 2002): a VM that is admitted has its reservation; of the rest those give first that have the most
pages for their shares (min-funding revocation). While free frames are few, VMs with a balloon are asked for pages; when
there is nothing left to deal out, pages are put away in the swap files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from ...devices.virtio.balloon import VirtioBalloon
from ...errors import ConfigError
from ...hart import Memory
from ...isa.paging import PAGE_SIZE
from ...machine.memory_map import MIB, RAM_BASE
from ..config import VmConfig
from .pool import FramePool, VmFrames
from .reclaim import VICTIM_POLICIES
from .sharing import PageSharing
from .swap import SwapFile, SwapFull
from .tenant_memory import TenantMemory

STOCK: Final = 512
"""Frames that a VM gets for a round where there are plenty: 2 MiB."""

LEAST: Final = 96
"""Frames that each VM of a round should get, even if others have to put pages away for it."""

SOFT: Final = 6
"""Percent of the machine's frames; with fewer free, balloons are asked to grow (ESX's "soft" state)."""

OVERHEAD: Final = 256
"""Frames, besides its reservation, without which no VM is admitted: its root table, and enough to make progress."""

STEPS_A_PAGE: Final = 8192
"""The machine runs so many steps for each page that is looked at for sharing."""

CHUNK: Final = 32
"""Pages taken from one VM before it is asked again who should give."""


class MemoryUser(Protocol):
    """A VM as the manager sees it. memory_shares: its weight. memory_reservation: frames that are not taken from it.
    balloon: where the host may ask it for pages, if it may. wanted_balloon: pages that a user asked for."""

    ram: TenantMemory
    frames: VmFrames
    memory_shares: int
    memory_reservation: int
    balloon: VirtioBalloon | None
    wanted_balloon: int


class Usage(NamedTuple):
    """Where one VM's memory is, in pages. own, shared: in frames of its own, or shared with others. tables: frames for
    shadow and G-stage tables. copies: stores that ended a sharing. swap_reads, swap_writes: so far."""

    own: int
    shared: int
    swapped: int
    ballooned: int
    tables: int
    copies: int
    swap_reads: int
    swap_writes: int


def usage(user: MemoryUser) -> Usage:
    """As of now."""
    guest = user.frames.owners["guest"]
    return Usage(guest, len(user.ram.shared), user.ram.swapped, len(user.balloon.pages) if user.balloon else 0,
                 user.frames.held - guest, user.ram.copies, user.ram.swap.reads, user.ram.swap.writes)


class MemoryManager:
    """size, swap: bytes of the machine's RAM, and of swap space. victims: a name in VICTIM_POLICIES. sharing: whether
    equal pages are shared. swap_folder: where the swap files lie."""

    def __init__(self, size: int, swap: int = 0, victims: str = "clock", is_sharing: bool = True,
                 swap_folder: Path | None = None) -> None:
        if size % PAGE_SIZE or size <= 0 or swap % PAGE_SIZE or swap < 0:
            raise ConfigError(f"{size} bytes of RAM and {swap} of swap: give multiples of {PAGE_SIZE}")
        if victims not in VICTIM_POLICIES:
            raise ConfigError(f"no victim policy {victims!r}; there are {', '.join(VICTIM_POLICIES)}")
        self.memory = Memory(size, RAM_BASE)
        self.swap = swap
        self.pool = FramePool(self.memory)
        self.sharing = PageSharing(self.pool, is_on=is_sharing)
        self._victims = VICTIM_POLICIES[victims]
        self._swap_folder = swap_folder
        self._promised = 0  # bytes of guest RAM admitted
        self._reserved = 0  # frames
        self._scan_steps = 0

    # --- VMs come and go

    def admit(self, name: str, config: VmConfig, reservation: int) -> tuple[VmFrames, TenantMemory]:
        """Frames and RAM for a VM. reservation: bytes. Raises ConfigError where there is not as much."""
        size = config.memory
        if not config.technique_class.owns_frames:
            raise ConfigError(f"technique {config.technique_class.name}: on a machine with others, a VM needs a "
                              "technique that gives it frames: deprivileged, shadow or two-stage")
        if not 0 <= reservation <= size:
            raise ConfigError(f"a reservation of {reservation >> 20} MiB of its {size >> 20} MiB of memory: give no "
                              "more than its memory")
        room = self.memory.size + self.swap - self._promised
        if size > room:
            raise ConfigError(f"{size >> 20} MiB of memory are not to be had: of the machine's "
                              f"{self.memory.size >> 20} MiB and {self.swap >> 20} MiB of swap, {room / MIB:g} MiB are "
                              "not promised to others")
        frames = reservation // PAGE_SIZE + OVERHEAD
        if frames > self.pool.total - self._reserved:
            raise ConfigError(f"a reservation of {reservation / MIB:g} MiB is not to be had: of the machine's memory "
                              f"{max(self.pool.total - self._reserved - OVERHEAD, 0) * PAGE_SIZE / MIB:g} MiB are not "
                              "reserved for others")
        self._promised += size
        self._reserved += frames
        own = VmFrames(self.pool, Memory(bytes_of=self.memory))
        return own, TenantMemory(own, RAM_BASE, size, SwapFile(size, self._swap_folder), self._victims(name))

    def dismiss(self, ram: TenantMemory, frames: VmFrames, reservation: int) -> None:
        """The VM is no more: all that it had is the machine's."""
        self.sharing.leave(ram, ram.leave())
        frames.give_all()
        self._promised -= ram.size
        self._reserved -= reservation // PAGE_SIZE + OVERHEAD

    # --- at barriers

    def free(self, users: Iterable[MemoryUser]) -> int:
        """Frames that hold nothing: the pool's, and the VMs' stocks."""
        return self.pool.free + sum(user.frames.stock for user in users)

    def settle(self, users: Sequence[MemoryUser], steps: int) -> None:
        """After a round of so many steps: end sharings, look for new ones, and see to the balloons."""
        rams = [user.ram for user in users]
        self.sharing.settle(rams)
        self._scan_steps += steps
        pages, self._scan_steps = divmod(self._scan_steps, STEPS_A_PAGE)
        if pages and users:
            self.sharing.scan(rams, -(-pages // len(users)))
        self._steer_balloons(users)

    def deal(self, users: Sequence[MemoryUser], running: Sequence[MemoryUser], stock: int = STOCK) -> None:
        """Before a round: a stock of frames for each VM that will run, `stock` or what there is."""
        for user in users:
            user.frames.refill(0)
        if not running:
            return
        missing = min(LEAST, stock) * len(running) - self.pool.available
        if missing > 0:
            self._revoke(users, missing)
        part = min(stock, self.pool.available // len(running))
        for user in running:
            user.frames.refill(part)

    def make_free(self, users: Sequence[MemoryUser], frames: int) -> None:
        """So many free frames in the pool, if others have pages to put away."""
        for user in users:
            user.frames.refill(0)
        self._revoke(users, frames - self.pool.available)

    def _revoke(self, users: Sequence[MemoryUser], count: int) -> None:
        """Have pages put away, where shares pay for the most."""
        givers = list(users)
        while count > 0 and givers:
            giver = max(givers, key=_pages_a_share)
            spare = giver.frames.owners["guest"] + len(giver.ram.shared) - giver.memory_reservation
            before = self.pool.available
            try:
                giver.ram.reclaim(min(CHUNK, count, max(spare, 0)))
            except SwapFull:
                givers.remove(giver)
            giver.frames.refill(0)
            freed = self.pool.available - before
            count -= freed
            if not freed and giver in givers:
                givers.remove(giver)

    # --- balloons

    def _steer_balloons(self, users: Sequence[MemoryUser]) -> None:
        """Ask for pages while free frames are few, and let go when there are twice as many as that."""
        able = [user for user in users if _has_driver(user)]
        soft = self.pool.total * SOFT // 100
        free = self.free(users)
        pending = sum(max(user.balloon.target - len(user.balloon.pages), 0) for user in able if user.balloon)
        missing = soft - free - pending
        if missing > 0 and able:
            giver = max(able, key=_pages_a_share)
            spare = giver.frames.owners["guest"] - giver.memory_reservation
            if spare > 0 and giver.balloon is not None:
                self._aim(giver, giver.balloon.target + min(missing, spare, STOCK))
        elif free > 2 * soft:
            for user in able:
                if user.balloon is not None and user.balloon.target > user.wanted_balloon:
                    self._aim(user, max(user.balloon.target - (free - 2 * soft), user.wanted_balloon))
                    break

    def _aim(self, user: MemoryUser, target: int) -> None:
        assert user.balloon is not None
        most = (user.ram.size // PAGE_SIZE - user.memory_reservation) // 2
        target = max(min(target, most), user.wanted_balloon)
        if target != user.balloon.target:
            user.balloon.target = target


def _has_driver(user: MemoryUser) -> bool:
    return user.balloon is not None and user.balloon.link is not None and user.balloon.link.is_running


def _pages_a_share(user: MemoryUser) -> float:
    pages = user.frames.owners["guest"] + len(user.ram.shared) - user.memory_reservation
    return max(pages, 0) / user.memory_shares
