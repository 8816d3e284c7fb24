"""The entropy device (virtio 5.4). Its randomness is a stream that a seed determines, so that a machine can run alike
twice; who wants surprise chooses the seed by chance, and notes it."""

from hashlib import blake2b
from typing import Final

from ..device import State, bytes_of, int_of
from .device import VirtioDevice
from .queue import Malformed

BLOCK: Final = 64
#: The most that one request gets (virtio 5.4.6.2 asks for at least one byte).
MOST: Final = 64 << 10


class VirtioRng(VirtioDevice):
    """Random bytes on request. seed: any bytes; equal seeds give equal streams."""

    device_id = 4
    queue_sizes = (8,)

    def __init__(self, seed: bytes = b"hartvisor") -> None:
        super().__init__()
        self._seed = seed
        self._position = 0  # bytes handed out

    def notify(self, index: int) -> None:
        """Fill every buffer that waits."""
        assert self.link is not None
        queue = self.link.queues[index]
        while (chain := queue.pop()) is not None:
            if not chain.writable:
                raise Malformed("a buffer for random bytes that cannot be written")
            chain.write(self._take(min(chain.writable, MOST)))
            queue.push(chain)

    def _take(self, length: int) -> bytes:
        """The stream's next bytes. Block n of it is blake2b(seed || n)."""
        first, skipped = divmod(self._position, BLOCK)
        last = (self._position + length - 1) // BLOCK
        self._position += length
        stream = b"".join(
            blake2b(self._seed + number.to_bytes(8, "little")).digest() for number in range(first, last + 1)
        )
        return stream[skipped : skipped + length]

    def save(self) -> State:
        """The stream, and how far it was read."""
        return {"seed": self._seed, "position": self._position}

    def restore(self, state: State) -> None:
        """Go on where the saved device was."""
        self._seed = bytes_of(state, "seed")
        self._position = int_of(state, "position")
