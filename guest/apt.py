"""Packages of one Debian suite, by apt in a folder of its own: nothing of the system is read or changed but its list
of package sources and its keys.

apt checks signatures and hashes as it always does. Standard library only, so that tools can use it before anything is
installed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

SYSTEM_SOURCES = Path("/etc/apt")

Progress = Callable[[str, float], None]
"""progress(what, fraction): what is being done, and how much of it is, from 0 to 1."""


class AptError(Exception):
    """Why packages cannot be had, in one line."""


def cache_folder() -> Path:
    """Hartvisor's folder in the user's cache folder (XDG Base Directory Specification)."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "hartvisor"


def no_progress(what: str, fraction: float) -> None:
    """Tell nobody."""


class PrivateApt:
    """apt for `suite`, with all it keeps below `folder`.

    architecture: of the packages, in Debian's words; None is the system's own. Raises AptError where there is no apt,
    or the system's sources name no Debian archive.
    """

    def __init__(self, folder: Path, suite: str, architecture: str | None = None) -> None:
        for needed in ("apt-get", "apt-cache", "dpkg-deb"):
            if shutil.which(needed) is None:
                raise AptError(f"there is no {needed} here to fetch packages of Debian {suite} with")
        self.suite = suite
        self.archives = folder / "cache" / "archives"
        for part in ("lists/partial", "cache/archives/partial", "state", "parts"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "status").write_text("")
        sources = folder / "own.sources"
        sources.write_text(own_sources(SYSTEM_SOURCES, suite))
        options = {
            "Dir::Etc::SourceList": sources, "Dir::Etc::SourceParts": folder / "parts", "Dir::State": folder / "state",
            "Dir::State::Lists": folder / "lists", "Dir::State::Status": folder / "status",
            "Dir::Cache": folder / "cache", "APT::Sandbox::User": "", "Acquire::Languages": "none",
            "Acquire::Retries": "3", "APT::Update::Error-Mode": "any", "Debug::NoLocking": "1",
        }
        if architecture is not None:
            options |= {"APT::Architecture": architecture, "APT::Architectures": architecture}
        self._flags = [flag for name, value in options.items() for flag in ("-o", f"{name}={value}")]

    def update(self, progress: Progress = no_progress) -> None:
        """Fetch the suite's list of packages. Raises AptError."""
        self._get("the list of packages", progress, "update")

    def names(self, prefix: str) -> list[str]:
        """The packages whose names begin with `prefix`."""
        found = subprocess.run(["apt-cache", *self._flags, "pkgnames", prefix], check=False, capture_output=True,
                               text=True)
        return sorted(found.stdout.split())

    def install_archives(self, packages: Iterable[str], progress: Progress = no_progress) -> list[Path]:
        """Fetch packages and all that they need; the paths of the archives. Raises AptError."""
        wanted = list(packages)
        self._get(", ".join(wanted), progress, "install", "--download-only", "--no-install-recommends", *wanted)
        return sorted(self.archives.glob("*.deb"))

    def download(self, packages: Iterable[str], progress: Progress = no_progress) -> dict[str, Path]:
        """Fetch packages, and nothing that they need: each one's archive. Raises AptError."""
        wanted = list(packages)
        self._get(", ".join(wanted), progress, "download", *wanted)
        found = {name: next(iter(sorted(self.archives.glob(f"{name}_*.deb"))), None) for name in wanted}
        archives = {name: path for name, path in found.items() if path is not None}
        if len(archives) < len(wanted):
            raise AptError(f"apt-get brought no {', '.join(sorted(found.keys() - archives.keys()))}")
        return archives

    def _get(self, what: str, progress: Progress, action: str, *arguments: str) -> None:
        reports, apt_end = os.pipe()
        command = ["apt-get", *self._flags, "-o", f"APT::Status-Fd={apt_end}", "--yes", "--quiet", action, *arguments]
        with subprocess.Popen(
            command, cwd=self.archives, env=os.environ | {"LC_ALL": "C"}, pass_fds=[apt_end], text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        ) as run:
            os.close(apt_end)
            with os.fdopen(reports, encoding="utf-8", errors="replace") as lines:
                for line in lines:
                    # dlstatus:<item>:<percent>:<description> (apt's README.progress-reporting)
                    kind, _, rest = line.partition(":")
                    if kind == "dlstatus" and rest.count(":") >= 2:
                        progress(what, min(1.0, float(rest.split(":")[1]) / 100))
            assert run.stderr is not None
            said = run.stderr.read()
        if run.returncode:
            errors = [line[3:] for line in said.splitlines() if line.startswith("E: ")]
            reason = errors[0] if errors else f"exit status {run.returncode}"
            raise AptError(f"apt-get {action} for Debian {self.suite} failed: {reason.strip().rstrip('.')}")
        progress(what, 1.0)


def own_sources(configuration: Path, suite: str) -> str:
    """The system's own package sources (`configuration` is /etc/apt) as deb822 text, with the suite replaced by ours.

    Raises AptError where the system is not Debian, whose packages these are.
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
        is_release = any(re.fullmatch(r"[a-z]+", name) for name in suites)
        # Debian's main archive, as against its security archive and other people's.
        if is_release and "main" in stanza.get("components", "") and re.search(r"/debian/?$", stanza.get("uris", "")):
            return _deb822(stanza, suite)
    raise AptError(f"{configuration} names no source of Debian's main archive, which the packages come from")


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


def _deb822(stanza: dict[str, str], suite: str) -> str:
    signed = f"Signed-By: {stanza['signed-by']}\n" if stanza.get("signed-by") else ""
    return f"Types: deb\nURIs: {stanza['uris']}\nSuites: {suite}\nComponents: main\n{signed}"
