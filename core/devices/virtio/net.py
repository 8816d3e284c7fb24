"""The network device (virtio 5.1): one pair of queues, no offloads; frames go to a backend, and come when given.

A frame in a chain follows a header of 12 bytes, all zeros here but for num_buffers. What arrives while the driver has
no buffers waits, up to BACKLOG frames; what is beyond that, or fits no buffer, is lost and counted.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from ..device import State, bytes_of, int_of
from .device import VirtioDevice
from .queue import Chain, Malformed, Queue

F_MAC = 1 << 5
F_MRG_RXBUF = 1 << 15
F_STATUS = 1 << 16

RX = 0
TX = 1

STATUS_LINK_UP = 1

HEADER_BYTES: Final = 12
NUM_BUFFERS: Final = 10  # offset in the header
MIN_FRAME: Final = 14
#: The longest frame we carry: 64 KiB of payload behind an Ethernet header with a VLAN tag.
MAX_FRAME: Final = (64 << 10) + 18
BACKLOG: Final = 256

DEFAULT_MAC: Final = bytes.fromhex("525400123456")


class NetBackend(Protocol):
    """What the device's wire is plugged into."""

    def send(self, frame: bytes) -> None:
        """The guest sends an Ethernet frame, without its checksum."""

    def close(self) -> None:
        """Let go of what the host lent."""


class Nowhere:
    """A wire that ends in the air."""

    def send(self, frame: bytes) -> None:
        """Lost."""

    def close(self) -> None:
        """Nothing was lent."""


class VirtioNet(VirtioDevice):
    """A network card. backend: where frames go. mac: six bytes.

    lost: frames to the guest that were dropped. observer: called as observer(is_sent, frame, is_lost) with each frame
    that the guest sends, and that comes for it.
    """

    device_id = 1
    queue_sizes = (256, 256)
    features = F_MAC | F_MRG_RXBUF | F_STATUS

    def __init__(self, backend: NetBackend | None = None, mac: bytes = DEFAULT_MAC) -> None:
        super().__init__()
        assert len(mac) == 6, "a MAC address has six bytes"
        self.backend: NetBackend = backend or Nowhere()
        self.mac = mac
        self.lost = 0
        self.observer: Callable[[bool, bytes, bool], None] | None = None
        self._is_up = True
        self._waiting: deque[bytes] = deque()

    @property
    def config(self) -> bytes:
        """Address and link status (virtio 5.1.4)."""
        return self.mac + (STATUS_LINK_UP if self._is_up else 0).to_bytes(2, "little")

    @property
    def backlog(self) -> int:
        """How many frames wait for buffers."""
        return len(self._waiting)

    @property
    def is_up(self) -> bool:
        """Whether the wire is plugged in."""
        return self._is_up

    @property
    def room(self) -> int:
        """How many more frames can wait for buffers."""
        return BACKLOG - len(self._waiting)

    def set_link(self, is_up: bool) -> None:
        """Plug the wire in, or pull it; the driver is told. While it is out, frames are lost."""
        if is_up != self._is_up:
            self._is_up = is_up
            if self.link is not None:
                self.link.change_config()

    def receive(self, frame: bytes) -> None:
        """A frame arrives for the guest. Called by the run loop, at a step of its choice."""
        is_running = self.link is not None and self.link.is_running
        is_lost = not is_running or not self._is_up or len(self._waiting) >= BACKLOG or len(frame) > MAX_FRAME
        if self.observer is not None:
            self.observer(False, frame, is_lost)
        if is_lost:
            self.lost += 1
            return
        self._waiting.append(frame)
        self.serve(self._deliver)

    def notify(self, index: int) -> None:
        """Buffers for what waits, or frames to send."""
        if index == RX:
            self._deliver()
        else:
            self._transmit()

    def _transmit(self) -> None:
        assert self.link is not None
        queue = self.link.queues[TX]
        while (chain := queue.pop()) is not None:
            if len(chain.read(HEADER_BYTES)) < HEADER_BYTES:
                raise Malformed("a frame to send without its header")
            frame = chain.read(chain.readable) if MIN_FRAME <= chain.readable <= MAX_FRAME else b""
            queue.push(chain)
            if frame and self.observer is not None:
                self.observer(True, frame, not self._is_up)
            if frame and self._is_up:
                self.backend.send(frame)

    def _deliver(self) -> None:
        """Hand over the frames that wait, as long as there are buffers."""
        assert self.link is not None
        queue = self.link.queues[RX]
        is_mergeable = bool(self.link.features & F_MRG_RXBUF)
        while self._waiting:
            data = bytes(HEADER_BYTES) + self._waiting[0]
            chains = _collect(queue, len(data) if is_mergeable else 1)
            if not chains:
                return
            self._waiting.popleft()
            room = sum(chain.writable for chain in chains)
            if room < len(data):
                self.lost += 1
                data = b""
            _fill(queue, chains, data)

    def close(self) -> None:
        """Unplug the wire."""
        self.backend.close()

    def reset(self) -> None:
        """What waits is lost."""
        self.lost += len(self._waiting)
        self._waiting.clear()

    def save(self) -> State:
        """The wire's state, and the frames that wait, each behind its length in four bytes."""
        waiting = b"".join(len(frame).to_bytes(4, "little") + frame for frame in self._waiting)
        return {"mac": self.mac, "is_up": int(self._is_up), "lost": self.lost, "waiting": waiting}

    def restore(self, state: State) -> None:
        """Become the saved card; the backend stays."""
        self.mac = bytes_of(state, "mac")
        self._is_up = bool(int_of(state, "is_up"))
        self.lost = int_of(state, "lost")
        self._waiting.clear()
        data = bytes_of(state, "waiting")
        while data:
            length = int.from_bytes(data[:4], "little")
            self._waiting.append(data[4 : 4 + length])
            data = data[4 + length :]


def _collect(queue: Queue, length: int) -> list[Chain]:
    """Pop chains with room for `length` bytes together; if there are not enough, none."""
    chains: list[Chain] = []
    room = 0
    while room < length:
        chain = queue.pop()
        if chain is None:
            queue.unpop(len(chains))
            return []
        if not chain.writable:
            raise Malformed("a receive buffer that cannot be written")
        chains.append(chain)
        room += chain.writable
    return chains


def _fill(queue: Queue, chains: list[Chain], data: bytes) -> None:
    """Spread header and frame over chains; no data gives them back unused."""
    if data:
        data = data[:NUM_BUFFERS] + len(chains).to_bytes(2, "little") + data[HEADER_BYTES:]
    for chain in chains:
        part, data = data[: chain.writable], data[chain.writable :]
        chain.write(part)
        queue.push(chain)


class Cable:
    """Connects two cards: what one sends waits until the run loop calls `deliver`."""

    def __init__(self, first: VirtioNet, second: VirtioNet) -> None:
        self._waiting: deque[tuple[VirtioNet, bytes]] = deque()
        first.backend = _End(self._waiting, second)
        second.backend = _End(self._waiting, first)

    def deliver(self) -> int:
        """Hand over what was sent so far, in the order it was sent; returns how many frames that were. Answers to them
        wait for the next call."""
        count = len(self._waiting)
        for _ in range(count):
            card, frame = self._waiting.popleft()
            card.receive(frame)
        return count


class _End:
    """One end of a cable: frames wait for the card at the other."""

    def __init__(self, waiting: deque[tuple[VirtioNet, bytes]], peer: VirtioNet) -> None:
        self._waiting = waiting
        self._peer = peer

    def send(self, frame: bytes) -> None:
        self._waiting.append((self._peer, frame))

    def close(self) -> None:
        """Nothing was lent."""
