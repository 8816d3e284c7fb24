"""The repository as the structure tests see it: its root, its own files, and what each source file imports."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("core", "guest", "tui", "labs")
CYTHON_SUFFIXES = (".pyx", ".pxd", ".pxi")

CYTHON_IMPORT = re.compile(
    r"^\s*(?:from\s+(?P<base>[.\w]+)\s+c?import\s+\(?(?P<names>[\w, ]*)|c?import\s+(?P<module>[.\w]+))"
)


def own_files() -> list[PurePosixPath]:
    """Every file of the project, tracked or about to be, relative to the root; what git ignores is not ours."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    git = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if git.returncode != 0:
        reason = "needs a git checkout: which files are the project's is git's to say"
        pytest.skip(reason, allow_module_level=True)
    return sorted(PurePosixPath(name) for name in git.stdout.decode().split("\0") if name and (ROOT / name).is_file())


def read_text(path: PurePosixPath) -> str | None:
    """The text of a file of the project, None if it is not UTF-8 text."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def module_name(path: PurePosixPath) -> str:
    """The dotted name a source file has below `hartvisor.`; a .pxi counts as a module of its own."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: PurePosixPath, text: str) -> list[tuple[int, str]]:
    """Every import in a source file as (line, absolute dotted name), relative ones resolved, without `hartvisor.`.

    `from a import b` gives `a.b`, since b may be a module: the layer of either is the same.
    """
    package = path.parent.parts
    found = _cython_imports(text) if path.suffix in CYTHON_SUFFIXES else _python_imports(text, str(path))
    return [(line, _resolve(name, package).removeprefix("hartvisor.")) for line, name in found]


def _python_imports(text: str, filename: str) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(text, filename)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            found += [(node.lineno, _join(base, alias.name)) for alias in node.names]
    return found


def _cython_imports(text: str) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        match = CYTHON_IMPORT.match(line)
        if match and match["module"]:
            found.append((number, match["module"]))
        elif match:
            names = [name.split(" as ")[0].strip() for name in match["names"].split(",")]
            found += [(number, _join(match["base"], name) if name else match["base"]) for name in names]
    return found


def _join(base: str, name: str) -> str:
    return f"{base}{name}" if base.endswith(".") else f"{base}.{name}"


def _resolve(name: str, package: tuple[str, ...]) -> str:
    dots = len(name) - len(name.lstrip("."))
    if dots == 0:
        return name
    return ".".join([*package[: len(package) - dots + 1], *name[dots:].split(".")]).rstrip(".")
