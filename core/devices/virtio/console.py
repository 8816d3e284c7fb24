"""The console device (virtio 5.3): one port, at whose far end is a ConsoleEnd."""

from typing import Final

from ..console import ConsoleEnd
from ..device import State, int_of
from .device import VirtioDevice
from .queue import Malformed

F_SIZE = 1 << 0
F_EMERG_WRITE = 1 << 2

RX = 0
TX = 1

EMERG_WR: Final = 8  # offset in the configuration space
#: Bytes moved at once.
PIECE: Final = 4096


class VirtioConsole(VirtioDevice):
    """A serial port without a line speed: typed bytes go to the guest as soon as it has a buffer for them.

    console: the terminal. columns, rows: its size.
    """

    device_id = 3
    queue_sizes = (64, 64)
    features = F_SIZE | F_EMERG_WRITE

    def __init__(self, console: ConsoleEnd, columns: int = 80, rows: int = 25) -> None:
        super().__init__()
        self._console = console
        self._columns = columns
        self._rows = rows
        self._is_receiving = False
        console.subscribe(self._hear)

    @property
    def config(self) -> bytes:
        """The terminal's size; emerg_wr reads 0 (virtio 5.3.4)."""
        size = self._columns.to_bytes(2, "little") + self._rows.to_bytes(2, "little")
        return size + (1).to_bytes(4, "little") + bytes(4)

    def write_config(self, offset: int, data: bytes) -> None:
        """An emergency write: one character, even before there is a driver."""
        if offset == EMERG_WR:
            self._console.write(data[:1])

    def resize(self, columns: int, rows: int) -> None:
        """The terminal has another size now; the driver is told."""
        self._columns, self._rows = columns, rows
        if self.link is not None:
            self.link.change_config()

    def notify(self, index: int) -> None:
        """Buffers for what is typed, or characters to show."""
        if index == RX:
            self._receive()
        else:
            self._transmit()

    def _hear(self) -> None:
        """The terminal has more or fewer bytes; fewer because of us, while we are receiving."""
        if not self._is_receiving:
            self.serve(self._receive)

    def _receive(self) -> None:
        assert self.link is not None
        queue = self.link.queues[RX]
        self._is_receiving = True
        try:
            while self._console.waiting and (chain := queue.pop()) is not None:
                if not chain.writable:
                    raise Malformed("a receive buffer that cannot be written")
                chain.write(self._console.read(min(chain.writable, PIECE)))
                queue.push(chain)
        finally:
            self._is_receiving = False

    def _transmit(self) -> None:
        assert self.link is not None
        queue = self.link.queues[TX]
        while (chain := queue.pop()) is not None:
            while chain.readable:
                self._console.write(chain.read(PIECE))
            queue.push(chain)

    def save(self) -> State:
        """The terminal's size; typed bytes are the console's to save."""
        return {"columns": self._columns, "rows": self._rows}

    def restore(self, state: State) -> None:
        """Become the saved port."""
        self._columns = int_of(state, "columns")
        self._rows = int_of(state, "rows")
