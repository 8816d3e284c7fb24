"""Reading options and writing results: what several commands share."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import ConfigError, ImageError, OptionError
from ..core.isa.extensions import parse_isa
from ..core.vmm.config import VmConfig
from ..core.vmm.guest_isa import GUEST_ISA, check_guest_isa
from ..guest import GuestError, ImageInfo, fetched_images, image, image_info, images

_SIZE = re.compile(r"(\d+)\s*([KMGT]?)(i?B)?", re.IGNORECASE)
_SHIFTS = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}


def parse_size(text: str, option: str) -> int:
    """Bytes in "128M", "64K", "2G" or a plain number (powers of 1024). Raises OptionError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise OptionError(f"{option} {text}: a size is a number with K, M or G behind it, such as 128M")
    return int(match[1]) << _SHIFTS[match[2].upper()]


def parse_number(text: str, option: str) -> int:
    """A number written as 1000000, 1_000_000, 0x1000, 50M or 3G (here powers of 1000). Raises OptionError."""
    match = re.fullmatch(r"(\d[\d_]*)([kMG])", text)
    try:
        if match is not None:
            return int(match[1]) * {"k": 10**3, "M": 10**6, "G": 10**9}[match[2]]
        value = int(text, 0)
    except ValueError:
        value = -1
    if value < 0:
        raise OptionError(f"{option} {text}: a number such as 5000000, 5M or 0x1000 is needed")
    return value


def parse_guest_isa(text: str | None, techniques: Sequence[str]) -> frozenset[str]:
    """The guest's extensions, as --isa has them: an ISA string, a profile, or changes to the default.

    Raises OptionError where they do not exist, or one of the techniques cannot keep a guest to them.
    """
    isa = GUEST_ISA if text is None else parse_isa(text, GUEST_ISA)
    try:
        for technique in techniques:
            check_guest_isa(isa, technique)
    except ConfigError as error:
        raise OptionError(f"--isa {text}: {error}") from error
    return isa


def make_config(memory: str, **settings: Any) -> VmConfig:
    """A VM of `memory` (as --memory has it) and `settings`. Raises OptionError."""
    try:
        return VmConfig(memory=parse_size(memory, "--memory"), **settings)
    except ConfigError as error:
        raise OptionError(str(error)) from error


def find_image(name: str) -> tuple[Path, ImageInfo | None]:
    """The file that IMAGE means: a path if there is such a file or it looks like one, else a guest by its name.

    Raises ImageError where it is neither.
    """
    path = Path(name)
    is_name = any(info.name == name for info in (*images(), *fetched_images()))
    if not is_name and ("/" in name or path.suffix or path.exists()):
        return path, None
    try:
        return image(name), image_info(name)
    except GuestError as error:
        raise ImageError(f"{name}: no such file, and {error}") from error


def check_writable(target: str | None) -> None:
    """Say before the work, not after it, that a result could not be written. Raises OptionError."""
    if target is None or target == "-":
        return
    path = Path(target)
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise OptionError(f"--json {target}: not a file that can be written; give a file in a folder that exists, or -")


def write_json(target: str | None, result: Mapping[str, Any]) -> None:
    """Write `result` to the file `target`, or to standard output for "-"; None writes nothing. Raises OptionError."""
    if target is None:
        return
    text = json.dumps(result, indent=2) + "\n"
    if target == "-":
        sys.stdout.write(text)
        return
    try:
        Path(target).write_text(text, encoding="utf-8")
    except OSError as error:
        raise OptionError(f"--json {target}: {error.strerror}") from error
