"""What is the same for every virtio device, whatever the transport: what it offers, and how it reaches its driver."""

from collections.abc import Callable, Sequence
from typing import Protocol

from ..device import State
from .queue import Queue

# Feature bits that belong to no device type (virtio 6).
F_INDIRECT_DESC = 1 << 28
F_EVENT_IDX = 1 << 29
F_VERSION_1 = 1 << 32


class Link(Protocol):
    """The transport, as its device sees it.

    queues: by index. features: those that the driver accepted. is_running: the driver is ready, and has broken no rule
    since.
    """

    @property
    def queues(self) -> Sequence[Queue]: ...

    @property
    def features(self) -> int: ...

    @property
    def is_running(self) -> bool: ...

    def serve(self, work: Callable[[], None]) -> None:
        """Do work on the queues, unless they are not running. If they turn out malformed, the device needs a reset;
        afterwards the driver is notified of what was used."""

    def change_config(self) -> None:
        """The device has changed its configuration space."""


class VirtioDevice:
    """A device without features, configuration or state; those of the other files say what they have.

    device_id: virtio 5. queue_sizes: the entries of each queue, at most. features: the device type's own bits.
    link: the transport, once it is plugged in.
    """

    device_id = 0
    queue_sizes: tuple[int, ...] = ()
    features = 0

    def __init__(self) -> None:
        self.link: Link | None = None

    @property
    def config(self) -> bytes:
        """The configuration space, as it is now."""
        return b""

    def write_config(self, offset: int, data: bytes) -> None:
        """The driver stores to the configuration space; by default nothing in it can be changed."""

    def notify(self, index: int) -> None:
        """There may be new chains in the queue. Called through Link.serve: may raise Malformed."""

    def reset(self) -> None:
        """The driver starts anew."""

    def save(self) -> State:
        """The device's own state; the transport saves the queues."""
        return {}

    def restore(self, state: State) -> None:
        """Become the saved device."""

    def close(self) -> None:
        """Let go of what the host lent."""

    def serve(self, work: Callable[[], None]) -> None:
        """Do work on the queues because of something from outside; without a driver, nothing."""
        if self.link is not None:
            self.link.serve(work)
