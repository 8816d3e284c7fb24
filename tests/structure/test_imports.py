"""Imports point down the list of layers only: each layer can be read, tested and replaced without those above it."""

from __future__ import annotations

import sys
from pathlib import PurePosixPath

import pytest

from tests.structure.tree import CYTHON_SUFFIXES, FOLDERS, imports, module_name, own_files, read_text

# Bottom first. A module may import from its own layer and from those before it.
LAYERS = ("core.errors", "core.isa", "core.hart", "core.devices", "core.machine", "core.vmm", "labs", "tui")
# The guests know nothing of the machine they run on; only what serves a user may reach for one by name.
GUEST_IMPORTERS = ("guest", "labs", "tui")

SUFFIXES = (".py", ".pyi", *CYTHON_SUFFIXES)
SOURCES = [path for path in own_files() if path.parts[0] in FOLDERS and path.suffix in SUFFIXES]


def layer_of(name: str) -> str | None:
    """The layer a dotted name lies in, `guest` included; None for what is not ours."""
    return next((layer for layer in (*LAYERS, "guest") if name == layer or name.startswith(layer + ".")), None)


def wrong_imports(path: PurePosixPath, text: str) -> list[str]:
    """What a source file imports against the rules, each as `file:line: reason`."""
    own_layer = layer_of(module_name(path))
    wrong = []
    for line, name in imports(path, text):
        if name.split(".")[0] not in FOLDERS:
            if own_layer in ("core.errors", "core.isa") and name.split(".")[0] not in sys.stdlib_module_names:
                wrong.append(f"{path}:{line}: {own_layer} uses the standard library only, not {name}")
            continue
        layer = layer_of(name)
        if layer is None or own_layer is None:
            wrong.append(f"{path}:{line}: {name} is imported by a module of {own_layer}, and both must be in a layer")
        elif layer == "guest":
            if own_layer not in GUEST_IMPORTERS:
                wrong.append(f"{path}:{line}: {own_layer} imports {name}; only {', '.join(GUEST_IMPORTERS)} may")
        elif own_layer == "guest":
            wrong.append(f"{path}:{line}: guest imports {name}; it stands alone")
        elif LAYERS.index(layer) > LAYERS.index(own_layer):
            wrong.append(f"{path}:{line}: {own_layer} imports {name}, which is above it")
    return wrong


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_imports_point_down(path: PurePosixPath) -> None:
    text = read_text(path)
    assert text is not None, f"{path} is not UTF-8"
    assert wrong_imports(path, text) == []


def is_students(path: PurePosixPath) -> bool:
    """Whether the file is copied into students' folders, or stands for one there: hartvisor is a library to it."""
    return path.parts[0] == "labs" and (path.parts[2:3] == ("starter",) or path.parts[1] == "answers")


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path.suffix in (".py", ".pyi") and not is_students(path)], ids=str)
def test_packages_import_each_other_by_relative_names(path: PurePosixPath) -> None:
    """The build imports `core.isa` from the root, users `hartvisor.core.isa`: an absolute name would fit only one."""
    text = read_text(path) or ""
    absolute = [line for line in text.splitlines() if line.lstrip().startswith(("from hartvisor", "import hartvisor"))]
    assert absolute == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("core/isa/x.py", "from ..hart import Hart"),
        ("core/isa/x.py", "import elftools"),
        ("core/errors.py", "from .isa import causes"),
        ("core/hart/x.pyx", "from hartvisor.core.devices.uart cimport Uart"),
        ("core/hart/x.pyx", "cimport hartvisor.core.vmm.vm"),
        ("core/devices/x.py", "from ..machine.bus import Bus"),
        ("core/machine/x.py", "def f():\n    from ..vmm import vm"),
        ("core/vmm/x.py", "from ... import guest"),
        ("core/vmm/x.py", "from ...guest import image"),
        ("guest/x.py", "from ..core import errors"),
        ("labs/x.py", "from ..tui import cli"),
        ("core/stray.py", "from .isa import causes"),
    ],
)
def test_an_import_that_points_up_is_noticed(path: str, text: str) -> None:
    assert wrong_imports(PurePosixPath(path), text)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("core/isa/x.py", "import enum\nfrom . import causes\nfrom .. import errors\nfrom ..errors import AsmError"),
        ("core/hart/x.pyx", "from libc.stdint cimport uint64_t\nfrom ..isa import decoder\ncimport cython"),
        ("core/hart/__init__.py", "from .hart import Hart"),
        ("core/vmm/x.py", "from ..machine.bus import Bus\nfrom ..hart import Hart"),
        ("tui/cli.py", "import typer\nfrom ..guest import image\nfrom ..core.vmm import vm\nfrom ..labs import grader"),
    ],
)
def test_an_import_that_points_down_is_fine(path: str, text: str) -> None:
    assert wrong_imports(PurePosixPath(path), text) == []
