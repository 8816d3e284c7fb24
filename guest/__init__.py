"""The guests that ship with Hartvisor, and their build.

`image("kernel")` is the path of a built ELF file, `images()` the table of all of them, and
`python -m hartvisor.guest.build` builds them. This package knows nothing of the machine that runs them, and imports
nothing of core.
"""

from __future__ import annotations

from pathlib import Path

from .catalog import CATALOG, ImageInfo

__all__ = ["GuestError", "ImageInfo", "image", "image_info", "images"]


class GuestError(Exception):
    """A guest that does not exist, or was not built; the message says what would be right."""


def images() -> list[ImageInfo]:
    """Return a row for each guest that ships, built or not."""
    return list(CATALOG)


def image_info(name: str) -> ImageInfo:
    """Return the row of the guest `name`.

    Raises:
        GuestError: there is no such guest; the message names those there are.
    """
    for info in CATALOG:
        if info.name == name:
            return info
    known = ", ".join(info.name for info in CATALOG)
    raise GuestError(f"no guest named {name!r} ships; there are {known}")


def image(name: str) -> Path:
    """Return the path of the guest `name`'s ELF file.

    Raises:
        GuestError: there is no such guest, or it was not built.
    """
    path = image_info(name).path
    if not path.is_file():
        raise GuestError(f"guest {name} is not built ({path} is missing); run: python -m hartvisor.guest.build")
    return path
