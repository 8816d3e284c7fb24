"""Split virtqueues (virtio 2.7): chains of buffers that the driver makes available and the device uses.

    descriptor table   size * {le64 gpa, le32 length, le16 flags, le16 next}
    driver area        le16 flags, le16 idx, size * le16 head, le16 used_event
    device area        le16 flags, le16 idx, size * {le32 head, le32 length}, le16 avail_event

All of it is the guest's to spoil. Nothing here trusts it: each address is checked against guest RAM, each index against
its table, each chain for its length; what breaks a rule raises Malformed, which the transport turns into NEEDS_RESET.
"""

from collections import deque
from struct import Struct

from ..device import State, int_of
from .ram import GuestRam

DESC_NEXT = 1
DESC_WRITE = 2
DESC_INDIRECT = 4

AVAIL_NO_INTERRUPT = 1

DESCRIPTOR = Struct("<QIHH")
USED_ELEMENT = Struct("<II")

#: The longest chain that we follow, in descriptors, when an indirect table holds it (virtio 2.7.5.3.1 allows no more
#: than the queue has; Linux does make longer ones, and QEMU's limit is this).
MAX_CHAIN = 1024
#: A chain's length in bytes (virtio 2.7.5).
MAX_CHAIN_BYTES = 1 << 32

U16 = 0xFFFF


class Malformed(Exception):
    """The driver broke a rule of the ring; the text says which. Never leaves the transport."""


class Chain:
    """One chain of buffers, popped from a queue: a stream of device-readable bytes, and room for device-writable ones.

    head: its number in the descriptor table. written: bytes stored without a gap from the beginning, which is what the
    driver is told.
    """

    __slots__ = ("_is_contiguous", "_ram", "_readable", "_writable", "head", "readable", "writable", "written")

    def __init__(
        self, head: int, ram: GuestRam, readable: list[tuple[int, int]], writable: list[tuple[int, int]]
    ) -> None:
        self.head = head
        self.written = 0
        self.readable = sum(size for _, size in readable)
        self.writable = sum(size for _, size in writable)
        self._ram = ram
        self._readable = deque(readable)
        self._writable = deque(writable)
        self._is_contiguous = True

    @property
    def buffers(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """What is left of it, as (gpa, size): the readable buffers, and the writable ones."""
        return list(self._readable), list(self._writable)

    def read(self, length: int) -> bytes:
        """The next `length` readable bytes, fewer where the chain ends. `readable` is what is left."""
        parts = [self._ram.read(gpa, size) for gpa, size in _take(self._readable, length)]
        data = b"".join(parts)
        self.readable -= len(data)
        return data

    def write(self, data: bytes) -> None:
        """Store data at the next writable bytes. Raises Malformed where they are too few."""
        if len(data) > self.writable:
            raise Malformed(f"{len(data)} bytes to write, but the chain has room for {self.writable}")
        view, done = memoryview(data), 0
        for gpa, size in _take(self._writable, len(data)):
            self._ram.write(gpa, bytes(view[done : done + size]))
            done += size
        self.writable -= done
        if self._is_contiguous:
            self.written += done

    def skip(self, length: int) -> None:
        """Leave the next `length` writable bytes as they are; nothing from here on counts as written."""
        if length > 0:
            self.writable -= sum(size for _, size in _take(self._writable, length))
            self._is_contiguous = False


def _take(buffers: deque[tuple[int, int]], length: int) -> list[tuple[int, int]]:
    """Remove the first `length` bytes from buffers, as pieces of (gpa, size)."""
    taken = []
    while length > 0 and buffers:
        gpa, size = buffers.popleft()
        piece = min(size, length)
        if piece < size:
            buffers.appendleft((gpa + piece, size - piece))
        taken.append((gpa, piece))
        length -= piece
    return taken


class Queue:
    """One virtqueue, from the device's side.

    max_size: entries at most, a power of two. descriptors, driver, device: the gpa of the three areas. has_indirect,
    has_event_idx: what was negotiated.
    """

    def __init__(self, ram: GuestRam, max_size: int) -> None:
        self.ram = ram
        self.max_size = max_size
        self.reset()

    def reset(self) -> None:
        """Back to what it is before the driver has said anything."""
        self.size = 0
        self.descriptors = self.driver = self.device = 0
        self.is_ready = False
        self.has_indirect = self.has_event_idx = False
        self._next_available = 0
        self._next_used = 0
        self._announced = 0  # the used index of which the driver last was, or chose not to be, notified

    def enable(self, *, has_indirect: bool, has_event_idx: bool) -> None:
        """The driver has set up size and areas. Raises Malformed where they cannot be (virtio 2.7, 2.7.1)."""
        if not 0 < self.size <= self.max_size or self.size & self.size - 1:
            raise Malformed(f"queue size {self.size}: it must be a power of two up to {self.max_size}")
        areas = (
            ("descriptor table", self.descriptors, 16, 16 * self.size),
            ("driver area", self.driver, 2, 6 + 2 * self.size),
            ("device area", self.device, 4, 6 + 8 * self.size),
        )
        for name, gpa, alignment, length in areas:
            if gpa % alignment:
                raise Malformed(f"{name} at {gpa:#x}: it must be {alignment}-byte aligned")
            if not self.ram.contains(gpa, length):
                raise Malformed(f"{name} at {gpa:#x}: not all of its {length} bytes are RAM")
        self.has_indirect = has_indirect
        self.has_event_idx = has_event_idx
        self._next_available = self._next_used = self._announced = 0
        self.is_ready = True

    def disable(self) -> None:
        """The driver takes the queue back."""
        self.is_ready = False

    # --- the driver's side

    def pop(self) -> Chain | None:
        """The next available chain; None where there is none, and then the driver is asked to notify us of the next.

        Raises Malformed.
        """
        if not self.is_ready:
            return None
        waiting = self._load16(self.driver + 2) - self._next_available & U16
        if not waiting:
            if self.has_event_idx:
                self._store16(self.device + 4 + 8 * self.size, self._next_available)
            return None
        if waiting > self.size:
            raise Malformed(f"{waiting} chains made available in a queue of {self.size}")
        head = self._load16(self.driver + 4 + 2 * (self._next_available % self.size))
        chain = self._follow(head)
        self._next_available = self._next_available + 1 & U16
        return chain

    def unpop(self, count: int) -> None:
        """Take back the last `count` pops; their chains have not been touched."""
        self._next_available = self._next_available - count & U16

    def _follow(self, head: int) -> Chain:
        """Collect the buffers of the chain that begins with descriptor `head` (virtio 2.7.5)."""
        readable: list[tuple[int, int]] = []
        writable: list[tuple[int, int]] = []
        table, entries, index, left = self.descriptors, self.size, head, self.size
        is_indirect = False
        total = 0
        while True:
            if index >= entries:
                raise Malformed(f"descriptor {index} of a table of {entries}")
            if not left:
                raise Malformed("a chain longer than its table: it loops")
            left -= 1
            gpa, size, flags, index = DESCRIPTOR.unpack(self.ram.read(table + 16 * index, 16))
            if flags & DESC_INDIRECT:
                if is_indirect or not self.has_indirect or flags & DESC_NEXT:
                    raise Malformed("an indirect table where none may be")
                if not size or size % 16 or not self.ram.contains(gpa, size):
                    raise Malformed(f"an indirect table of {size} bytes at {gpa:#x}")
                is_indirect = True
                table, entries, index, left = gpa, size // 16, 0, min(size // 16, MAX_CHAIN)
                continue
            if not size or not self.ram.contains(gpa, size):
                raise Malformed(f"a buffer of {size} bytes at {gpa:#x}")
            total += size
            if total > MAX_CHAIN_BYTES:
                raise Malformed("a chain of more than 4 GiB")
            if flags & DESC_WRITE:
                writable.append((gpa, size))
            elif writable:
                raise Malformed("a device-readable buffer behind a device-writable one")
            else:
                readable.append((gpa, size))
            if not flags & DESC_NEXT:
                return Chain(head, self.ram, readable, writable)

    # --- the device's side

    def push(self, chain: Chain) -> None:
        """Give the chain back, used; a queue that the driver has taken back meanwhile is left alone."""
        if not self.is_ready:
            return
        slot = self.device + 4 + 8 * (self._next_used % self.size)
        self.ram.write(slot, USED_ELEMENT.pack(chain.head, chain.written))
        self._next_used = self._next_used + 1 & U16
        self._store16(self.device + 2, self._next_used)

    def take_notification(self) -> bool:
        """Whether the driver wants to hear of the chains used since the last call (virtio 2.7.7.2)."""
        used = self._next_used - self._announced & U16
        if not used or not self.is_ready:
            return False
        self._announced = self._next_used
        if not self.has_event_idx:
            return not self._load16(self.driver) & AVAIL_NO_INTERRUPT
        used_event = self._load16(self.driver + 4 + 2 * self.size)
        return (self._next_used - used_event - 1 & U16) < used

    def _load16(self, gpa: int) -> int:
        return int.from_bytes(self.ram.read(gpa, 2), "little")

    def _store16(self, gpa: int, value: int) -> None:
        self.ram.write(gpa, value.to_bytes(2, "little"))

    # --- snapshots

    def save(self) -> State:
        """Where the queue lies and how far it has come."""
        return {
            "size": self.size,
            "descriptors": self.descriptors,
            "driver": self.driver,
            "device": self.device,
            "ready": int(self.is_ready),
            "indirect": int(self.has_indirect),
            "event_idx": int(self.has_event_idx),
            "next_available": self._next_available,
            "next_used": self._next_used,
            "announced": self._announced,
        }

    def restore(self, state: State) -> None:
        """Become the saved queue."""
        self.size = int_of(state, "size")
        self.descriptors = int_of(state, "descriptors")
        self.driver = int_of(state, "driver")
        self.device = int_of(state, "device")
        self.is_ready = bool(int_of(state, "ready"))
        self.has_indirect = bool(int_of(state, "indirect"))
        self.has_event_idx = bool(int_of(state, "event_idx"))
        self._next_available = int_of(state, "next_available")
        self._next_used = int_of(state, "next_used")
        self._announced = int_of(state, "announced")
