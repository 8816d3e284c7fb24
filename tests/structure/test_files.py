"""What lies in the repository: readable files of a readable size, that name no machine and hold nothing built."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest

from tests.structure.tree import own_files, read_text

FILES = own_files()
SOURCE_SUFFIXES = (".py", ".pyi", ".pyx", ".pxd", ".pxi", ".c", ".h", ".S", ".ld")

MOST_LINES = 450

# Written in pieces, so that this file does not hold what it forbids.
MACHINE_PATH = re.compile(r"(?<![\w.$}/])/(?:" + "|".join(["work", "root", "tmp", r"home/\w+", r"opt/py\w+"]) + r")/")
REGISTRY = re.compile("pypi" + r"\.org/simple|pythonhosted\.org|--(?:extra-)?index-url|--" + "find-links")


@pytest.mark.parametrize("path", FILES, ids=str)
def test_is_text(path: PurePosixPath) -> None:
    """No binary is committed: guests and extensions are built from source."""
    assert read_text(path) is not None


@pytest.mark.parametrize("path", FILES, ids=str)
def test_names_no_machine(path: PurePosixPath) -> None:
    text = read_text(path) or ""
    named = [line for line in text.splitlines() if MACHINE_PATH.search(line) or REGISTRY.search(line)]
    assert named == []


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix in SOURCE_SUFFIXES], ids=str)
def test_can_be_read_in_one_sitting(path: PurePosixPath) -> None:
    assert (read_text(path) or "").count("\n") <= MOST_LINES


def test_a_machine_path_is_noticed() -> None:
    assert MACHINE_PATH.search("see /" + "work/main/x")
    assert not MACHINE_PATH.search("$HOME/" + "work/x ./tmp/y build/tmp/z")
