"""What `--drive`, `--netdev`, `--share` and `--device` take: what is in a machine's virtio slots, in this order."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from ..core.devices.network.capture import Capture
from ..core.devices.network.echo_host import EchoHost
from ..core.devices.network.nat import GUEST, Forward, NatPeer
from ..core.devices.network.socket_peer import Address, DatagramPeer, Say, StreamPeer
from ..core.devices.network.wire import Peer, Wire
from ..core.devices.virtio.block import VirtioBlock
from ..core.devices.virtio.device import VirtioDevice
from ..core.devices.virtio.net import VirtioNet
from ..core.devices.virtio.overlay import open_disk
from ..core.devices.virtio.p9 import VirtioP9
from ..core.devices.virtio.p9_folder import Folder
from ..core.errors import ConfigError, OptionError
from ..core.machine.memory_map import VIRTIO
from ..core.vmm.recipe import DriveRef
from .small_devices import open_small

READ_ONLY: Final = "ro"
LOOPBACK: Final = "127.0.0.1"
MAX_PORT: Final = 65535
FORWARD: Final = re.compile(r"(?:(?P<host>[^:]*):)?(?P<port>[0-9]+)-(?:(?P<guest>[^:]*):)?(?P<guest_port>[0-9]+)")
MAC_BYTES: Final = 6
MAX_TAG: Final = 255  # bytes: a word for mount(8)

#: Of the MAC addresses that we choose, the bytes behind 52:54:00. The side that connects has others, so that two of our
#: cards do not meet themselves, nor one of them QEMU's 52:54:00:12:34:56.
LISTENING, CONNECTING = b"hv", b"hc"

DriveOption = Annotated[
    list[str] | None,
    typer.Option("--drive", metavar="FILE[,ro]", help="A disk image, raw or an overlay; /dev/vda, vdb ... in order."),
]
NetdevOption = Annotated[
    list[str] | None,
    typer.Option(
        "--netdev",
        metavar="KIND[,KEY=VALUE]...",
        help="A network card, and its peer: echo, a small host at 10.0.2.2 in the guest's own time; user, the host's "
        "networks by NAT, with forward=[HOST:]PORT-PORT of the guest's; "
        "socket,listen=[HOST]:PORT, socket,connect=HOST:PORT or socket,udp=HOST:PORT,localaddr=HOST:PORT, QEMU or "
        "another of ours. With mac=ADDRESS and pcap=FILE, a capture.",
    ),
]
ShareOption = Annotated[
    list[str] | None,
    typer.Option(
        "--share",
        metavar="FOLDER[,tag=NAME][,ro]",
        help="A folder of the host's: mount -t 9p -o trans=virtio,version=9p2000.L share /mnt.",
    ),
]


@contextmanager
def open_devices(
    drives: Sequence[str] | None, netdevs: Sequence[str] | None, shares: Sequence[str] | None,
    others: Sequence[str] | None = None,
) -> Iterator[list[VirtioDevice]]:
    """The devices, closed at the end. Raises OptionError for what cannot be opened, or is too much."""
    devices: list[VirtioDevice] = []
    with ExitStack() as stack:

        def add(device: VirtioDevice) -> None:
            stack.callback(device.close)
            devices.append(device)

        count = sum(len(texts or ()) for texts in (drives, netdevs, shares, others))
        if count > len(VIRTIO):
            raise OptionError(
                f"{count} devices by --drive, --netdev, --share and --device: there are {len(VIRTIO)} slots")
        for text in drives or ():
            add(open_drive(text))
        for index, text in enumerate(netdevs or ()):
            add(open_netdev(text, index))
        for index, text in enumerate(shares or ()):
            add(open_share(text, index))
        for text in others or ():
            add(open_small(text, stack))
        yield devices


# --- drives


def open_drive(text: str) -> VirtioBlock:
    """A block device. Raises OptionError for a file that cannot be opened."""
    path = Path(text.removesuffix(f",{READ_ONLY}"))
    try:
        return VirtioBlock(open_disk(path, is_read_only=text.endswith(f",{READ_ONLY}")))
    except OSError as error:
        raise OptionError(f"--drive {path}: {error.strerror}") from error


def note_drives(drives: Sequence[str] | None) -> tuple[DriveRef, ...]:
    """The drives as a recipe has them: what the guest writes to them stays in memory. Raises ConfigError."""
    return tuple(
        DriveRef.of(Path(text.removesuffix(f",{READ_ONLY}")), text.endswith(f",{READ_ONLY}")) for text in drives or ()
    )


# --- shared folders


def open_share(text: str, index: int) -> VirtioP9:
    """A shared folder; the first is called share, the next share1. Raises OptionError."""
    path, *words = text.split(",")
    tag = f"share{index or ''}"
    for word in words:
        if word.startswith("tag="):
            tag = word.removeprefix("tag=")
        elif word != READ_ONLY:
            raise OptionError(f"--share {text}: {word!r} is neither tag=NAME nor ro")
    if not 1 <= len(tag.encode()) <= MAX_TAG:
        raise OptionError(f"--share {text}: a tag is a word of up to {MAX_TAG} bytes")
    try:
        return VirtioP9(Folder(Path(path), is_read_only=READ_ONLY in words), tag)
    except ConfigError as error:
        raise OptionError(f"--share {error}") from error


# --- networks


def open_netdev(text: str, index: int) -> VirtioNet:
    """A network card, the machine's `index`th, and the peer it is wired to. Raises OptionError."""
    option = f"--netdev {text}"
    kind, *words = text.split(",")
    pairs = [_split_setting(option, word) for word in words]
    settings = dict(pairs)
    mac = settings.pop("mac", None)
    pcap = settings.pop("pcap", None)
    suffix = LISTENING
    try:
        peer: Peer
        if kind == "echo" and not settings:
            peer = EchoHost()
        elif kind == "user" and settings.keys() <= {"forward", "forward-udp"}:
            peer = NatPeer([parse_forward(value, is_udp=key == "forward-udp") for key, value in pairs
                            if key in settings])
        elif kind == "socket" and settings.keys() == {"listen"}:
            peer = StreamPeer.listen(_address(option, settings["listen"]), _teller(text))
        elif kind == "socket" and settings.keys() == {"connect"}:
            peer = StreamPeer.connect(_address(option, settings["connect"]), _teller(text))
            suffix = CONNECTING
        elif kind == "socket" and settings.keys() == {"udp", "localaddr"}:
            local = _address(option, settings["localaddr"])
            peer = DatagramPeer(local, _address(option, settings["udp"]))
            suffix = local[1].to_bytes(2, "big")
        else:
            raise OptionError(
                f"{option}: give echo, user, socket,listen=[HOST]:PORT, socket,connect=HOST:PORT or "
                "socket,udp=HOST:PORT,localaddr=HOST:PORT, with mac=ADDRESS and pcap=FILE if you like")
        capture = Capture(Path(pcap)) if pcap is not None else None
    except ConfigError as error:
        raise OptionError(f"{option}: {error}") from error
    return VirtioNet(Wire(peer, capture), _mac(option, mac, suffix, index))


def _split_setting(option: str, word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not equals or not value:
        raise OptionError(f"{option}: {word!r} is not of the form KEY=VALUE")
    return key, value


def parse_forward(text: str, *, is_udp: bool = False) -> Forward:
    """[HOST:]PORT-[GUEST:]PORT; without a guest's address, the one that DHCP gives it. Raises ConfigError."""
    match = FORWARD.fullmatch(text)
    if match is None or any(int(match[each]) > MAX_PORT for each in ("port", "guest_port")):
        raise ConfigError(f"forward {text} is not of the form [HOST:]PORT-[GUEST:]PORT, such as 8080-80")
    return Forward(is_udp, (match["host"] or LOOPBACK, int(match["port"])),
                   (match["guest"] or GUEST, int(match["guest_port"])))


def _address(option: str, text: str) -> Address:
    """HOST:PORT; without a host, this machine alone."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > MAX_PORT:
        raise OptionError(f"{option}: {text} is not of the form HOST:PORT")
    return host or LOOPBACK, int(port)


def _mac(option: str, text: str | None, suffix: bytes, index: int) -> bytes:
    """The card's address: the one given, or one of ours."""
    if text is None:
        return bytes.fromhex("525400") + suffix + bytes((index,))
    try:
        return parse_mac(text)
    except ConfigError as error:
        raise OptionError(f"{option}: mac={error}") from error


def parse_mac(text: str) -> bytes:
    """Six bytes. Raises ConfigError for what is no card's address."""
    try:
        mac = bytes(int(part, 16) for part in text.split(":"))
    except ValueError:
        mac = b""
    if len(mac) != MAC_BYTES or mac[0] & 1:
        raise ConfigError(f"{text} is no card's address; one is 52:54:00:12:34:56")
    return mac


def _teller(text: str) -> Say:
    """Tells the user of a peer, on standard error; in a line of its own also on a terminal in raw mode."""
    end = "\r\n" if sys.stderr.isatty() else "\n"
    return lambda line: print(f"hartvisor: --netdev {text}: {line}", file=sys.stderr, end=end, flush=True)
