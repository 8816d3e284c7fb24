"""What `--device` takes: an entropy source, a balloon, a second console."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer

from ..core.devices.console import ConsoleEnd
from ..core.devices.virtio.balloon import PAGE_SHIFT, VirtioBalloon
from ..core.devices.virtio.console import VirtioConsole
from ..core.devices.virtio.device import VirtioDevice
from ..core.devices.virtio.rng import VirtioRng
from ..core.errors import OptionError
from .options import parse_size

DeviceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--device",
        metavar="KIND[,KEY=VALUE]",
        help="rng[,seed=TEXT], a source of entropy, the same for the same seed; balloon,size=SIZE, into which the "
        "guest gives so much of its memory; console,file=FILE, a console (hvc0) of which FILE gets the output.",
    ),
]

Setting = tuple[str, str] | None
"""A key and its value, as the option has them."""


def open_small(text: str, stack: ExitStack) -> VirtioDevice:
    """The device; files it needs are closed with `stack`. Raises OptionError."""
    kind, *words = text.split(",")
    setting: Setting = None
    if len(words) == 1:
        key, _, value = words[0].partition("=")
        setting = key, value
    make = KINDS.get(kind)
    device = make(text, setting, stack) if make is not None and len(words) <= 1 else None
    if device is None:
        raise OptionError(f"--device {text}: give rng[,seed=TEXT], balloon,size=SIZE or console,file=FILE")
    return device


def _rng(text: str, setting: Setting, stack: ExitStack) -> VirtioDevice | None:
    if setting is None:
        return VirtioRng()
    return VirtioRng(setting[1].encode()) if setting[0] == "seed" and setting[1] else None


def _balloon(text: str, setting: Setting, stack: ExitStack) -> VirtioDevice | None:
    if setting is None or setting[0] != "size":
        return None
    balloon = VirtioBalloon()
    balloon.target = parse_size(setting[1], f"--device {text}: size") >> PAGE_SHIFT
    return balloon


def _console(text: str, setting: Setting, stack: ExitStack) -> VirtioDevice | None:
    if setting is None or setting[0] != "file" or not setting[1]:
        return None
    try:
        file = Path(setting[1]).open("wb", buffering=0)  # noqa: SIM115  (the stack closes it)
    except OSError as error:
        raise OptionError(f"--device {text}: {error.strerror}") from error

    stack.callback(file.close)

    def write(data: bytes) -> None:
        file.write(data)

    return VirtioConsole(ConsoleEnd(write))


KINDS: Final[dict[str, Callable[[str, Setting, ExitStack], VirtioDevice | None]]] = {
    "rng": _rng, "balloon": _balloon, "console": _console,
}
"""What makes each kind, None for settings that it has not."""
