"""The peers: which QEMUs are there, and how each runs an image."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import OptionError
from ...guest.apt import cache_folder
from .workloads import MEMORY, Workload

FIRST = "qemu"
"""The peer that ratios are about: the QEMU of that name, with the JIT it has and nothing that slows it."""

NEWER = "qemu-system-riscv64-10"


@dataclass(frozen=True)
class Peer:
    """One way to run images on another machine: its name in the report, its program and that one's options."""

    name: str
    program: str
    options: tuple[str, ...]

    def command(self, workload: Workload, image: Path) -> list[str]:
        """What runs the image to its end."""
        start = ("-bios", str(image)) if workload.is_bare else ("-kernel", str(image), "-append", workload.append)
        return [self.program, "-M", "virt", "-cpu", "rv64", "-m", MEMORY, "-monitor", "none", "-display", "none",
                "-serial", "stdio", "-no-reboot", *self.options, *start]


def find_qemu(name: str) -> str | None:
    """A QEMU on the path, or among the oracles that `make oracles` keeps in the user's cache."""
    oracles = Path(os.environ.get("HARTVISOR_ORACLES") or cache_folder() / "oracles")
    return shutil.which(name) or shutil.which(name, path=str(oracles / "bin"))


def version(program: str) -> str:
    """What it calls itself, such as 7.2.19. Raises OptionError if it does not run."""
    try:
        text = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise OptionError(f"--peer: {program} does not run: {error}") from error
    return text.split("version ", 1)[-1].split()[0].split("(")[0]


def peers(name: str) -> list[Peer]:
    """The peer `name` first, and the others that are there. Raises OptionError if it is not."""
    if name != FIRST:
        raise OptionError(f"--peer {name}: the peer is {FIRST}")
    program = find_qemu("qemu-system-riscv64")
    if program is None:
        raise OptionError("--peer qemu: qemu-system-riscv64 is not there; Debian's package is qemu-system-misc")
    found = [
        Peer(f"qemu {version(program)}", program, ("-accel", "tcg")),
        Peer(f"qemu {version(program)} -icount", program, ("-accel", "tcg", "-icount", "shift=0")),
    ]
    newer = find_qemu(NEWER)
    if newer is not None:
        found.append(Peer(f"qemu {version(newer)}", newer, ("-accel", "tcg")))
    return found
