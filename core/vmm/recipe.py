"""What a VM is made of, as plain values: enough to make the same one again, elsewhere or later."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from ..devices.device import State
from ..devices.network.echo_host import EchoHost
from ..devices.network.wire import Wire
from ..devices.virtio.block import VirtioBlock
from ..devices.virtio.device import VirtioDevice
from ..devices.virtio.net import VirtioNet
from ..devices.virtio.overlay import open_disk
from ..devices.virtio.storage import MemoryDisk
from ..errors import ConfigError, ImageError
from ..machine.boot import join_archives
from ..machine.loader import load_image, read_file
from .config import VmConfig
from .vm import Vm

IMAGE: Final = "image"
INITRD: Final = "initrd"
"""The name's beginning; behind it comes the file's place among those that make up the ramdisk."""


@dataclass(frozen=True)
class FileRef:
    """A file that is read whole when the guest starts. digest: blake2b-128 of its bytes, as hex."""

    path: str
    digest: str

    @classmethod
    def of(cls, path: Path) -> FileRef:
        """The file as it is now. Raises ImageError where it cannot be read."""
        return cls(str(path.absolute()), _digest(read_file(path)))

    def read(self) -> bytes:
        """Its bytes. Raises ImageError where it is gone, or another one."""
        data = read_file(Path(self.path))
        if _digest(data) != self.digest:
            raise ImageError(f"{self.path}: not the file it was: its blake2b-128 is {_digest(data)}, not {self.digest}")
        return data


@dataclass(frozen=True)
class DriveRef:
    """A disk image, of which only the beginning is fixed: what the guest writes stays in memory.

    size: bytes. modified: when it was changed last, in ns since 1970.
    """

    path: str
    size: int
    modified: int
    is_read_only: bool = False

    @classmethod
    def of(cls, path: Path, is_read_only: bool) -> DriveRef:
        """The image as it is now. Raises ConfigError where there is none."""
        try:
            facts = path.stat()
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
        return cls(str(path.absolute()), facts.st_size, facts.st_mtime_ns, is_read_only)

    def open(self) -> VirtioBlock:
        """A device on it. Raises ConfigError where it is gone, in use, or was changed."""
        now = DriveRef.of(Path(self.path), self.is_read_only)
        if now != self:
            raise ConfigError(f"{self.path}: the disk image has changed since; what was saved lies on the old one")
        base = open_disk(Path(self.path), is_read_only=True)
        return VirtioBlock(base if self.is_read_only else MemoryDisk(base=base))


ECHO: Final = "echo"
OUTSIDE: Final = "outside"


@dataclass(frozen=True)
class CardRef:
    """A network card. mac: its address, as hex. peer: ECHO, the small host in the guest's own time; or OUTSIDE."""

    mac: str
    peer: str

    def open(self) -> VirtioNet:
        """The card. A peer outside is not there again: all it ever sends is in the log of inputs."""
        return VirtioNet(Wire(EchoHost() if self.peer == ECHO else Gone()), bytes.fromhex(self.mac))


class Gone:
    """What remains of a peer outside when a run is had again: it hears nothing, and says what the log says."""

    def answer(self, frame: bytes) -> list[bytes]:
        """Nothing."""
        return []

    def save(self) -> State:
        """Nothing."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing was lent."""


def note_cards(devices: Sequence[VirtioDevice]) -> tuple[CardRef, ...]:
    """The network cards among the devices, as a recipe has them."""
    cards = [device for device in devices if isinstance(device, VirtioNet)]
    return tuple(
        CardRef(card.mac.hex(), ECHO if isinstance(card.backend, Wire) and isinstance(card.backend.peer, EchoHost)
                else OUTSIDE) for card in cards)


@dataclass(frozen=True)
class Recipe:
    """A VM to be made, or made again.

    name: what the user calls the image. technique, memory (bytes), vcpus, append, steps_per_tick, policy, tlb, isa: as
    VmConfig has them. files: the image and the parts of the initial ramdisk. drives, cards: in the virtio slots, from
    the first.
    """

    name: str
    technique: str
    memory: int
    vcpus: int
    append: str
    steps_per_tick: int
    policy: str
    tlb: str
    isa: tuple[str, ...]
    files: dict[str, FileRef] = field(default_factory=dict)
    drives: tuple[DriveRef, ...] = ()
    cards: tuple[CardRef, ...] = ()

    @classmethod
    def of(cls, name: str, config: VmConfig, image: Path, initrd: Sequence[Path] = (),
           drives: tuple[DriveRef, ...] = (), cards: tuple[CardRef, ...] = ()) -> Recipe:
        """That of a VM which is made of these. Raises ConfigError for what has no name, such as a student's class."""
        if not isinstance(config.technique, str) or not isinstance(config.policy, str):
            raise ConfigError("a VM with a technique or policy of one's own cannot be written down")
        if config.handlers or config.instruction_handlers:
            raise ConfigError("a VM with handlers of one's own cannot be written down")
        files = {IMAGE: FileRef.of(image)}
        files |= {f"{INITRD} {place}": FileRef.of(path) for place, path in enumerate(initrd)}
        return cls(name, config.technique, config.memory, config.vcpus, config.append, config.steps_per_tick,
                   config.policy, config.tlb, tuple(sorted(config.isa)), files, drives, cards)

    def under(self, technique: str) -> Recipe:
        """The same guest, virtualized otherwise."""
        return replace(self, technique=technique)

    @property
    def has_outside(self) -> bool:
        """Whether peers in real time take part in its runs."""
        return any(card.peer == OUTSIDE for card in self.cards)

    def start(self, output: Callable[[bytes], None], cards: Sequence[VirtioDevice] | None = None) -> Vm:
        """The VM, at its guest's first step. cards: the network cards, if they are there. Raises ImageError or
        ConfigError where something is not as it was."""
        initrd = join_archives([self.files[name].read() for name in sorted(self.files) if name.startswith(INITRD)])
        self.files[IMAGE].read()
        return Vm(self._config(initrd), load_image(Path(self.files[IMAGE].path)), output, self._devices(cards))

    def blank(self, output: Callable[[bytes], None]) -> Vm:
        """The VM with nothing in it, for a saved state to be put into. Raises ConfigError."""
        return Vm(self._config(), None, output, self._devices())

    def _config(self, initrd: bytes = b"") -> VmConfig:
        return VmConfig(
            technique=self.technique, memory=self.memory, append=self.append, steps_per_tick=self.steps_per_tick,
            policy=self.policy, tlb=self.tlb, isa=frozenset(self.isa), vcpus=self.vcpus, initrd=initrd)

    def _devices(self, cards: Sequence[VirtioDevice] | None = None) -> list[VirtioDevice]:
        return [*(drive.open() for drive in self.drives),
                *(cards if cards is not None else [card.open() for card in self.cards])]


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
