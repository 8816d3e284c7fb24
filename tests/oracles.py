"""The independent programs that tests compare Hartvisor with, and how to get them.

An oracle is found on PATH, never assumed: a test asks for it with `require_oracle` and is skipped, with the reason, where it is
absent. Setting HARTVISOR_REQUIRE_ORACLES=1 (as `.ci/run` does) makes an absent oracle fail the whole run instead.
"""

from __future__ import annotations

import os
import shutil

import pytest

ORACLES = {
    "qemu-system-riscv64": "qemu-system-misc",
    "riscv64-linux-gnu-as": "binutils-riscv64-linux-gnu",
    "riscv64-linux-gnu-objdump": "binutils-riscv64-linux-gnu",
    "gdb-multiarch": "gdb-multiarch",
}
"""Program name to the Debian package that holds it; `make oracles` installs these packages."""


def are_required() -> bool:
    """Whether this run must fail, rather than skip tests, when an oracle is absent."""
    return os.environ.get("HARTVISOR_REQUIRE_ORACLES", "0") not in ("", "0")


def missing_oracles() -> list[str]:
    """The names in `ORACLES` that are not on PATH, each with what to do: `name: apt-get install package, or make oracles`."""
    return [_advice(name) for name in ORACLES if shutil.which(name) is None]


def require_oracle(name: str) -> str:
    """Return the path of the program `name`, one of `ORACLES`; skip the calling test if it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"needs {_advice(name)}")
    return path


def _advice(name: str) -> str:
    return f"{name}: apt-get install {ORACLES[name]}, or make oracles"
