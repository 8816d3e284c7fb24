"""The guests that ship with Hartvisor, and their build.

`image("kernel")` is the path of a built ELF file, `images()` the table of all of them, and
`python -m hartvisor.guest.build` builds them. This package knows nothing of the machine that runs them, and imports
nothing of core.
"""

from __future__ import annotations

from pathlib import Path

from .catalog import BENCHMARKS, CATALOG, FETCHED, GUEST, TERN_PROGRAMS, ImageInfo

__all__ = ["SOURCES", "GuestError", "ImageInfo", "benchmarks", "fetched_images", "image", "image_info", "images",
           "programs"]

SOURCES = GUEST.parent
"""The folder that the paths in the guests' debug data start from."""


class GuestError(Exception):
    """A guest that does not exist, or was not built; the message says what would be right."""


def images() -> list[ImageInfo]:
    """Return a row for each guest that ships, built or not."""
    return list(CATALOG)


def benchmarks() -> list[ImageInfo]:
    """Return a row for each benchmark that ships, built or not: images for a bare machine, in M-mode."""
    return list(BENCHMARKS)


def fetched_images() -> list[ImageInfo]:
    """Return a row for each guest that does not ship but can be fetched, fetched or not."""
    return list(FETCHED)


def image_info(name: str) -> ImageInfo:
    """Return the row of the guest `name`, shipped or fetched.

    Raises:
        GuestError: there is no such guest; the message names those there are.
    """
    rows = (*CATALOG, *BENCHMARKS, *FETCHED)
    for info in rows:
        if info.name == name:
            return info
    known = ", ".join(info.name for info in (*CATALOG, *FETCHED))
    raise GuestError(f"no guest is named {name!r}; there are {known}")


def image(name: str) -> Path:
    """Return the path of the guest `name`'s file: an ELF file, or a kernel image.

    Raises:
        GuestError: there is no such guest, or it was not built or fetched.
    """
    info = image_info(name)
    if not info.path.is_file():
        raise GuestError(f"guest {name} is not there yet ({info.path} is missing); run: {info.how_to_get}")
    return info.path


def programs() -> list[Path]:
    """Return the user programs of the teaching kernel, as ELF files with symbols and debug data; none if not built."""
    return sorted(TERN_PROGRAMS.glob("*.elf"))
