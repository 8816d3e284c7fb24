"""The walls, one by one: the filter's program is run by the kernel, and where it cannot be, what is there instead."""

from __future__ import annotations

import struct
import subprocess
import sys

import pytest

from hartvisor.labs.jail import syscalls
from hartvisor.labs.jail.confine import filter_program, landlock_version

AUDITED = """
import sys
sys.path.insert(0, {path!r})
from hartvisor.labs.jail import confine
confine._audit()
try:
    {line}
except PermissionError:
    print("refused")
else:
    print("done")
"""

ERRNO, ALLOW, KILL = 0x0005_0000, 0x7FFF_0000, 0x8000_0000


def run_filter(program: bytes, number: int, architecture: int, *arguments: int) -> int:
    """What the filter says of a call: a BPF interpreter of the five instructions that it is made of."""
    data = struct.pack("<IIQ", number, architecture, 0) + struct.pack("<6Q", *arguments, *[0] * (6 - len(arguments)))
    rows = list(struct.iter_unpack("<HBBI", program))
    at = accumulator = 0
    while True:
        code, jt, jf, k = rows[at]
        at += 1
        if code == 0x20:
            accumulator = struct.unpack_from("<I", data, k)[0]
        elif code == 0x06:
            return int(k)
        else:
            holds = {0x15: accumulator == k, 0x35: accumulator >= k, 0x45: bool(accumulator & k)}[code]
            at += jt if holds else jf


@pytest.mark.parametrize("machine", syscalls.ARCHITECTURES)
def test_the_filter_says_of_each_call_what_it_should(machine: str) -> None:
    architecture, numbers = syscalls.ARCHITECTURES[machine]
    program = filter_program(machine, may_open=True, pid=42)

    def verdict(name: str, *arguments: int) -> int:
        return run_filter(program, numbers[name], architecture, *arguments) & 0xFFFF_0000

    for name in syscalls.ALLOWED:
        if name in numbers:
            assert verdict(name) == ALLOW, name
    assert verdict("openat", 0, 0, 0o2000000) == ALLOW
    for flags in (1, 2, 0o100, 0o1000, 0o2000):
        assert verdict("openat", 0, 0, flags) == ERRNO
    assert verdict("tgkill", 42, 42, 6) == ALLOW
    assert verdict("tgkill", 1, 1, 9) == ERRNO
    assert verdict("prlimit64", 0, 0, 0) == ALLOW
    assert verdict("prlimit64", 0, 0, 0x1000) == verdict("prlimit64", 0, 0, 1 << 40) == ERRNO
    assert verdict("ioctl", 1, 0x5412) == ERRNO
    known = set(numbers.values())
    for number in [*range(600), 0x4000_0000, 0x4000_0001]:
        if number not in known:
            assert run_filter(program, number, architecture) & 0xFFFF_0000 == ERRNO, number
    assert run_filter(program, 0, architecture ^ 1) == KILL


def test_without_landlock_nothing_is_opened() -> None:
    architecture, numbers = syscalls.ARCHITECTURES["x86_64"]
    program = filter_program("x86_64", may_open=False, pid=42)
    assert run_filter(program, numbers["openat"], architecture, 0, 0, 0) & 0xFFFF_0000 == ERRNO


@pytest.mark.parametrize("line", [
    "open('x', 'w')", "__import__('socket').socket()", "__import__('os').fork()", "__import__('os').system('true')",
    "__import__('subprocess').run(['true'])", "__import__('os').kill(1, 0)", "__import__('os').remove('x')"])
def test_without_seccomp_accidents_are_stopped(line: str) -> None:
    run = subprocess.run([sys.executable, "-c", AUDITED.format(path="", line=line)], capture_output=True, text=True,
                         check=False)
    assert run.stdout == "refused\n", run.stdout + run.stderr


def test_landlock_is_a_version() -> None:
    assert landlock_version() >= 0
