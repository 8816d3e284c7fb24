"""QEMU 10.0 and binutils 2.44 from Debian trixie, in a folder of their own: nothing of the system is changed.

Older Debian's QEMU 7.2 is wrong about much of the hypervisor extension, and its binutils know neither newer
instructions nor newer CSRs. apt downloads the packages and everything they need, down to libc, by sources of our own:
the system's, with the suite replaced. They are unpacked, not installed, and each program is started by a small script
through the folder's own dynamic linker.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from guest.apt import AptError, PrivateApt, cache_folder

SUITE = "trixie"

PROGRAMS = {
    "qemu-system-riscv64-10": ("qemu-system-riscv", "qemu-system-riscv64"),
    "riscv64-linux-gnu-as-2.44": ("binutils-riscv64-linux-gnu", "riscv64-linux-gnu-as"),
    "riscv64-linux-gnu-objdump-2.44": ("binutils-riscv64-linux-gnu", "riscv64-linux-gnu-objdump"),
}
"""Our name for a program to the Debian package that holds it and the name it has there."""


def folder() -> Path:
    """Where the programs lie: HARTVISOR_ORACLES, or hartvisor/oracles in the user's cache folder, for all checkouts."""
    chosen = os.environ.get("HARTVISOR_ORACLES")
    return Path(chosen) if chosen else cache_folder() / "oracles"


def find(name: str) -> str | None:
    """The path of the script that starts the program `name`, one of `PROGRAMS`; None where it is not installed."""
    return shutil.which(name, path=str(folder() / "bin"))


def missing() -> list[str]:
    """The names in `PROGRAMS` that are not installed."""
    return [name for name in PROGRAMS if find(name) is None]


def install() -> None:
    """Download (about 40 MB) and unpack all of them. Raises AptError, one line that says why it cannot be done."""
    place = folder()
    kept = place / "apt"
    apt = PrivateApt(kept, SUITE)
    packages = sorted({package for package, _ in PROGRAMS.values()})
    print(f"oracles: downloading {', '.join(packages)} of Debian {SUITE} into {place}", flush=True)
    apt.update()
    archives = apt.install_archives(packages)
    root = place / "root"
    shutil.rmtree(root, ignore_errors=True)
    for count, archive in enumerate(archives, 1):
        print(f"\roracles: unpacking {count} of {len(archives)} packages", end="", flush=True)
        if subprocess.run(["dpkg-deb", "-x", str(archive), str(root)], check=False).returncode:
            raise AptError(f"{archive} cannot be unpacked; remove {kept} and run make oracles again")
    print(flush=True)
    _write_scripts(place, root)
    shutil.rmtree(kept)


def _write_scripts(place: Path, root: Path) -> None:
    """One script a program, in bin/: it replaces itself by the program, under the linker and libraries it came with."""
    linkers = [*sorted(root.glob("usr/lib/*/ld-linux-*.so.*")), *sorted(root.glob("usr/lib*/ld-linux-*.so.*"))]
    if not linkers:
        raise AptError(f"the packages of Debian {SUITE} hold no dynamic linker for this machine")
    folders = (linkers[0].parent, linkers[0].parent / "pulseaudio")
    libraries = ":".join(str(path) for path in folders)
    scripts = place / "bin"
    scripts.mkdir(exist_ok=True)
    # QEMU looks for modules and firmware in qemu-bundle/usr/... beside the running program's file, which is the linker
    # here. Without it, QEMU would find the system's modules, of another version, and end.
    linker = root / "usr" / "bin" / "ld.so"
    shutil.copy(linkers[0], linker)
    (linker.parent / "qemu-bundle").symlink_to(Path("..", ".."), target_is_directory=True)
    for name, (_, program) in PROGRAMS.items():
        script = scripts / name
        start = f"exec '{linker}' --library-path '{libraries}' '{linker.parent}/{program}'"
        # A sanitizer that is preloaded for the tests is of another libc than these programs.
        script.write_text(f'#!/bin/sh\nunset LD_PRELOAD\n{start} "$@"\n')
        script.chmod(0o755)
