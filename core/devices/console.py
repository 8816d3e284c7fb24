"""The far end of a serial line: where a guest's bytes go, and where typed bytes wait until the guest reads them."""

from collections.abc import Callable

from .device import State, bytes_of, int_of


def discard(data: bytes) -> None:
    """An output that forgets what it is given."""


class ConsoleEnd:
    """One terminal, shared by all that talk to it (the UART, the SBI console): bytes typed are read once, by whoever
    asks first.

    output: called with the bytes the guest writes, as it writes them. refill: called when the guest looks for input,
    or has nothing else to do, and none waits; gives some bytes, or b"" at the input's end, after which it is None. Its
    bytes are shown to the guest one at a time: neither when a pipe is written nor in what pieces can then be seen. It
    gives None where there are none yet, but may be later: then when they come is seen.
    written: how many bytes the guest has written so far. observer: called as observer(is_written, data) with what the
    guest writes, and with what it reads.
    """

    def __init__(self, output: Callable[[bytes], None] = discard) -> None:
        self.output = output
        self.observer: Callable[[bool, bytes], None] | None = None
        self._refill: Callable[[], bytes | None] | None = None
        self._has_ended = False
        self.written = 0
        self._typed = bytearray()
        self._piped = bytearray()  # what refill gave and the guest has not been shown
        self._listeners: list[Callable[[], None]] = []

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call listener whenever the typed bytes that wait have become more or fewer."""
        self._listeners.append(listener)

    @property
    def refill(self) -> Callable[[], bytes | None] | None:
        """Where more input comes from; None where there is none, or no more."""
        return None if self._has_ended else self._refill

    @refill.setter
    def refill(self, refill: Callable[[], bytes | None] | None) -> None:
        self._refill = refill
        self._has_ended = False

    @property
    def has_ended(self) -> bool:
        """Whether the guest has found the end of what refill had to give."""
        return self._has_ended

    @property
    def typed(self) -> int:
        """How many bytes wait; asking is not looking."""
        return len(self._typed)

    @property
    def waiting(self) -> int:
        """How many bytes the guest finds waiting, now that it looks."""
        refill = self.refill
        if not self._typed and refill is not None:
            if not self._piped:
                data = refill()
                if data is None:
                    return 0
                self._piped += data
            if self._piped:
                self._typed.append(self._piped.pop(0))
                self._notify()
            else:
                self._has_ended = True
        return len(self._typed)

    def type(self, data: bytes) -> None:
        """Host to guest: append data to what waits."""
        if data:
            self._typed += data
            self._notify()

    def read(self, limit: int) -> bytes:
        """Take the first `limit` waiting bytes, fewer if there are fewer."""
        return self.take(min(limit, self.waiting))

    def take(self, limit: int) -> bytes:
        """As `read`, of what waits already."""
        data = bytes(self._typed[:limit])
        if data:
            del self._typed[: len(data)]
            if self.observer is not None:
                self.observer(False, data)
            self._notify()
        return data

    def write(self, data: bytes) -> None:
        """Guest to host."""
        self.written += len(data)
        if self.observer is not None:
            self.observer(True, data)
        self.output(data)

    def save(self) -> State:
        """The bytes that wait, those that refill gave and the guest has not seen, and whether there will be more."""
        return {"typed": bytes(self._typed), "piped": bytes(self._piped), "has_ended": int(self._has_ended)}

    def restore(self, state: State) -> None:
        """Make the saved bytes wait again."""
        self._typed = bytearray(bytes_of(state, "typed"))
        self._piped = bytearray(bytes_of(state, "piped"))
        self._has_ended = bool(int_of(state, "has_ended"))
        self._notify()

    def _notify(self) -> None:
        for listener in self._listeners:
            listener()
