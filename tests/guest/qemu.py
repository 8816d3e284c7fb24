"""Runs a guest on QEMU `virt` with its default firmware: the independent machine the guests must also run on."""

from __future__ import annotations

import os
import re
import select
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from hartvisor.guest import image
from tests.oracles import require_oracle

EXPECTED = Path(__file__).with_name("expected")
# OpenSBI's banner ends with this line; what follows is the guest's.
BANNER_END = re.compile(r"^Boot HART MEDELEG .*$\n", re.MULTILINE)
SECONDS = 25.0  # far more than any guest here takes


def start_qemu(
    name: str, append: str = "", memory: str = "128M", options: Iterable[str] = ()
) -> subprocess.Popen[bytes]:
    """Start QEMU with its serial port on pipes."""
    command = [require_oracle("qemu-system-riscv64"), "-M", "virt", "-m", memory]
    command += ["-monitor", "none", "-display", "none", "-serial", "stdio"]
    command += ["-kernel", str(image(name)), "-append", append, *options]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def read_until(process: subprocess.Popen[bytes], mark: bytes | None, seconds: float = SECONDS) -> bytes:
    """Return what comes until `mark` (None: until QEMU ends, or `seconds` have passed)."""
    assert process.stdout is not None
    deadline = time.monotonic() + seconds
    output = b""
    while mark is None or mark not in output:
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        chunk = os.read(process.stdout.fileno(), 65536) if ready else b""
        if not chunk:
            if mark is not None:
                raise AssertionError(f"{mark!r} did not come; the guest printed: {guest_text(output)}")
            break
        output += chunk.replace(b"\r", b"")
    return output


def run_on_qemu(
    name: str,
    append: str = "",
    dialogue: Iterable[tuple[str, str]] = (),
    memory: str = "128M",
    options: Iterable[str] = (),
    seconds: float = SECONDS,
) -> str:
    """Return what the guest prints until it powers off, or `seconds` have passed.

    `dialogue` is what to wait for and then to type, again and again: QEMU's UART drops what comes before firmware
    has set it up.
    """
    process = start_qemu(name, append, memory, options)
    assert process.stdin is not None
    output = b""
    try:
        for mark, keys in dialogue:
            output += read_until(process, mark.encode())
            process.stdin.write(keys.encode())
            process.stdin.flush()
        output += read_until(process, None, seconds)
    finally:
        process.kill()
        process.communicate()
    return guest_text(output)


def guest_text(output: bytes) -> str:
    """Return what is the guest's of a console's output."""
    return BANNER_END.split(output.decode(), maxsplit=1)[-1]


def expected(name: str) -> str:
    """Return the text kept in expected/ under that name."""
    return (EXPECTED / f"{name}.txt").read_text(encoding="utf-8")
