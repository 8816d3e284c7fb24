"""Where the control sockets of this user's hypervisors are."""

from __future__ import annotations

import os
from pathlib import Path

from ...core.errors import OptionError


def socket_folder() -> Path:
    """Below XDG_RUNTIME_DIR; without one, a folder of the user's own in /tmp. It exists, and only the user may look
    into it. Raises OptionError where it cannot be had, or is somebody else's."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(runtime) / "hartvisor" if runtime else Path("/tmp") / f"hartvisor-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o077:
            raise OptionError(f"{folder}: it must be yours, and closed to others (chmod 700)")
    except OSError as error:
        raise OptionError(f"{folder}: {error.strerror}") from error
    return folder


def find_socket(name: str | None, path: Path | None) -> Path:
    """The socket that --name or --socket mean, or that of the only hypervisor there is. Raises OptionError."""
    if path is not None:
        return path
    folder = socket_folder()
    if name is not None:
        return folder / f"{name}.sock"
    found = sorted(entry for entry in folder.iterdir() if entry.suffix == ".sock")
    if len(found) == 1:
        return found[0]
    if not found:
        raise OptionError("no hypervisor runs; `hartvisor up FILE.toml` starts one")
    names = ", ".join(entry.stem for entry in found)
    raise OptionError(f"several hypervisors run ({names}): say which with --name")
