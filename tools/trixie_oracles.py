"""QEMU 10.0 and binutils 2.44 from Debian trixie, in a folder of their own: nothing of the system is changed.

Older Debian's QEMU 7.2 is wrong about much of the hypervisor extension, and its binutils know neither newer
instructions nor newer CSRs. apt downloads the packages and everything they need, down to libc, by sources of our own:
the system's, with the suite replaced. They are unpacked, not installed, and each program is started by a small script
through the folder's own dynamic linker.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

SUITE = "trixie"

PROGRAMS = {
    "qemu-system-riscv64-10": ("qemu-system-riscv", "qemu-system-riscv64"),
    "riscv64-linux-gnu-as-2.44": ("binutils-riscv64-linux-gnu", "riscv64-linux-gnu-as"),
    "riscv64-linux-gnu-objdump-2.44": ("binutils-riscv64-linux-gnu", "riscv64-linux-gnu-objdump"),
}
"""Our name for a program to the Debian package that holds it and the name it has there."""

SYSTEM_SOURCES = Path("/etc/apt")


class InstallError(Exception):
    """Why the programs cannot be installed here, in one line."""


def folder() -> Path:
    """Where the programs lie: HARTVISOR_ORACLES, or hartvisor/oracles in the user's cache folder, for all checkouts."""
    chosen = os.environ.get("HARTVISOR_ORACLES")
    if chosen:
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "hartvisor" / "oracles"


def find(name: str) -> str | None:
    """The path of the script that starts the program `name`, one of `PROGRAMS`; None where it is not installed."""
    return shutil.which(name, path=str(folder() / "bin"))


def missing() -> list[str]:
    """The names in `PROGRAMS` that are not installed."""
    return [name for name in PROGRAMS if find(name) is None]


def install() -> None:
    """Download (about 40 MB) and unpack all of them. Raises InstallError, one line that says why it cannot be done."""
    for needed in ("apt-get", "dpkg-deb"):
        if shutil.which(needed) is None:
            raise InstallError(f"there is no {needed} here to fetch {', '.join(missing())} from Debian {SUITE} with")
    place = folder()
    apt = place / "apt"
    for part in ("lists/partial", "cache/archives/partial", "state", "parts"):
        (apt / part).mkdir(parents=True, exist_ok=True)
    (apt / "status").write_text("")
    sources = apt / "own.sources"
    sources.write_text(own_sources(SYSTEM_SOURCES))
    packages = sorted({package for package, _ in PROGRAMS.values()})
    print(f"oracles: downloading {', '.join(packages)} of Debian {SUITE} into {place}", flush=True)
    _apt(apt, sources, "update")
    _apt(apt, sources, "install", "--download-only", "--no-install-recommends", *packages)
    archives = sorted((apt / "cache" / "archives").glob("*.deb"))
    root = place / "root"
    shutil.rmtree(root, ignore_errors=True)
    for count, archive in enumerate(archives, 1):
        print(f"\roracles: unpacking {count} of {len(archives)} packages", end="", flush=True)
        if subprocess.run(["dpkg-deb", "-x", str(archive), str(root)], check=False).returncode:
            raise InstallError(f"{archive} cannot be unpacked; remove {apt} and run make oracles again")
    print(flush=True)
    _write_scripts(place, root)
    shutil.rmtree(apt)


def own_sources(configuration: Path) -> str:
    """The system's own package sources (`configuration` is /etc/apt) as deb822 text, with the suite replaced by ours.

    Raises InstallError where the system is not Debian, whose packages these are.
    """
    stanzas: list[dict[str, str]] = []
    for file in sorted((configuration / "sources.list.d").glob("*.sources")):
        stanzas += [_fields(stanza) for stanza in re.split(r"\n\s*\n", file.read_text(encoding="utf-8"))]
    lists = [configuration / "sources.list", *sorted((configuration / "sources.list.d").glob("*.list"))]
    for file in lists:
        if file.is_file():
            stanzas += [_one_line(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for stanza in stanzas:
        suites = stanza.get("suites", "").split()
        is_release = any(re.fullmatch(r"[a-z]+", suite) for suite in suites)
        # Debian's main archive, as against its security archive and other people's.
        if is_release and "main" in stanza.get("components", "") and re.search(r"/debian/?$", stanza.get("uris", "")):
            return _deb822(stanza)
    programs = ", ".join(PROGRAMS)
    raise InstallError(f"{configuration} names no source of Debian's main archive, which {programs} come from")


def _fields(stanza: str) -> dict[str, str]:
    """A deb822 stanza's fields by lower-case name; comments are left out."""
    lines = [line for line in stanza.splitlines() if ":" in line and not line.startswith(("#", " "))]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _one_line(line: str) -> dict[str, str]:
    """`deb [options] uri suite component...` as the same fields; none for any other line."""
    match = re.match(r"deb\s+(?:\[([^]]*)\]\s*)?(\S+)\s+(\S+)\s+(.+)", line)
    if match is None:
        return {}
    options = dict(option.split("=", 1) for option in (match[1] or "").split() if "=" in option)
    fields = {"uris": match[2], "suites": match[3], "components": match[4]}
    return fields | ({"signed-by": options["signed-by"]} if "signed-by" in options else {})


def _deb822(stanza: dict[str, str]) -> str:
    signed = f"Signed-By: {stanza['signed-by']}\n" if stanza.get("signed-by") else ""
    return f"Types: deb\nURIs: {stanza['uris']}\nSuites: {SUITE}\nComponents: main\n{signed}"


def _apt(apt: Path, sources: Path, action: str, *arguments: str) -> None:
    options = {
        "Dir::Etc::SourceList": sources, "Dir::Etc::SourceParts": apt / "parts", "Dir::State": apt / "state",
        "Dir::State::Lists": apt / "lists", "Dir::State::Status": apt / "status", "Dir::Cache": apt / "cache",
        "APT::Sandbox::User": "", "Acquire::Languages": "none", "Debug::NoLocking": "1",
    }
    flags = [flag for name, value in options.items() for flag in ("-o", f"{name}={value}")]
    run = subprocess.run(["apt-get", *flags, "--yes", action, *arguments], check=False)
    if run.returncode:
        raise InstallError(f"apt-get {action} for Debian {SUITE} failed; see its message above")


def _write_scripts(place: Path, root: Path) -> None:
    """One script a program, in bin/: it replaces itself by the program, under the linker and libraries it came with."""
    linkers = [*sorted(root.glob("usr/lib/*/ld-linux-*.so.*")), *sorted(root.glob("usr/lib*/ld-linux-*.so.*"))]
    if not linkers:
        raise InstallError(f"the packages of Debian {SUITE} hold no dynamic linker for this machine")
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
        script.write_text(f'#!/bin/sh\n{start} "$@"\n')
        script.chmod(0o755)
