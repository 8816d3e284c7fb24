"""A memory that only loads see, such as the one where QEMU's harts come out of reset."""

from .device import State, bytes_of


class Rom:
    """The device: `data` from its start, zeros behind that. Stores do nothing."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data

    def load(self, offset: int, size: int) -> int:
        """Read `size` bytes, little-endian."""
        return int.from_bytes(self.data[offset : offset + size], "little")

    def store(self, offset: int, size: int, value: int) -> None:
        """Lost, as on QEMU."""

    def save(self) -> State:
        """Its contents."""
        return {"data": self.data}

    def restore(self, state: State) -> None:
        """Have the saved contents."""
        self.data = bytes_of(state, "data")
