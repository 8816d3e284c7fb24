"""The independent programs that tests compare Hartvisor with.

An oracle is looked for, never assumed: a test asks for it with `require_oracle` and is skipped, with the reason,
where it is absent. Setting HARTVISOR_REQUIRE_ORACLES=1 (as `.ci/run` does) makes it fail the whole run instead.
"""

from __future__ import annotations

import os

import pytest

from tools.install_oracles import PACKAGES, find_program, missing_programs


def are_required() -> bool:
    """Whether this run must fail, rather than skip tests, when an oracle is absent."""
    return os.environ.get("HARTVISOR_REQUIRE_ORACLES", "0") not in ("", "0")


def missing_oracles() -> list[str]:
    """One line for each absent oracle: its name and how to get it."""
    return [_advice(name) for name in missing_programs()]


def require_oracle(name: str) -> str:
    """Return the path of the program `name`; skip the calling test if it is not installed.

    name: one of `PACKAGES`, or of `tools.trixie_oracles.PROGRAMS` for the newer QEMU and binutils, such as
    "qemu-system-riscv64-10" and "riscv64-linux-gnu-objdump-2.44".
    """
    path = find_program(name)
    if path is None:
        pytest.skip(f"needs {_advice(name)}")
    return path


def _advice(name: str) -> str:
    return f"{name}: apt-get install {PACKAGES[name]}, or make oracles" if name in PACKAGES else f"{name}: make oracles"
