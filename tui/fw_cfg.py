"""What `--fw-cfg` takes: files for firmware, in QEMU's words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ..core.devices.fw_cfg import MAX_NAME
from ..core.errors import OptionError
from ..core.machine.loader import read_file

FwCfgOption = Annotated[
    list[str] | None,
    typer.Option("--fw-cfg", metavar="name=NAME,file=FILE|string=TEXT", help="A file for firmware to find in fw_cfg."),
]


def read_fw_cfg(options: Sequence[str] | None) -> dict[str, bytes]:
    """Contents by name. Raises OptionError for what is not written so, ImageError for a file that cannot be read."""
    files = {}
    for option in options or ():
        name, _, source = option.removeprefix("name=").partition(",")
        kind, _, value = source.partition("=")
        if not option.startswith("name=") or not name or kind not in ("file", "string"):
            raise OptionError(f"--fw-cfg {option}: write name=NAME,file=FILE or name=NAME,string=TEXT")
        if len(name) > MAX_NAME or not name.isascii():
            raise OptionError(f"--fw-cfg {option}: a name has at most {MAX_NAME} characters of ASCII")
        files[name] = read_file(Path(value)) if kind == "file" else value.encode()
    return files
