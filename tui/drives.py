"""What `--drive` takes: disk images, each behind a virtio block device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ..core.devices.virtio.block import VirtioBlock
from ..core.devices.virtio.overlay import open_disk
from ..core.errors import OptionError

READ_ONLY = ",ro"

DriveOption = Annotated[
    list[str] | None,
    typer.Option("--drive", metavar="FILE[,ro]", help="A disk image, raw or an overlay; /dev/vda, vdb ... in order."),
]


def open_drives(drives: Sequence[str] | None) -> list[VirtioBlock]:
    """A block device for each. Raises OptionError for a file that cannot be opened."""
    devices = []
    for drive in drives or ():
        path = Path(drive.removesuffix(READ_ONLY))
        try:
            devices.append(VirtioBlock(open_disk(path, is_read_only=drive.endswith(READ_ONLY))))
        except OSError as error:
            raise OptionError(f"--drive {path}: {error.strerror}") from error
    return devices
