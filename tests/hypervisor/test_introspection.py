"""A guest's processes from outside: what its own ps says, and nothing of it changes."""

from __future__ import annotations

import struct

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.introspection.btf import ARRAY, HEADER, INT, STRUCT, TYPE, UNION, Btf
from hartvisor.core.vmm.introspection.processes import Process, list_processes
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image
from tests.vmm.support import guest

from .support import BUSY, TECHNIQUES


@pytest.mark.parametrize("technique", [*TECHNIQUES, "bare"])
def test_terns_processes_are_what_its_ps_says(technique: str) -> None:
    written = bytearray()
    vm = Vm(VmConfig(technique=technique, memory=16 << 20), load_image(image("kernel")), written.extend)
    vm.console.type(b"sleep 1000 | ps\n")
    vm.run(3_000_000)
    before = digest(vm)
    found = list_processes(vm)
    assert digest(vm) == before
    assert found[:2] == [Process(1, 0, "init", "blocked"), Process(2, 1, "sh", "blocked")]
    assert "sleep" in [process.name for process in found]
    told = written.decode().replace("\r", "").split("name\n")[1].splitlines()
    assert [(process.pid, process.parent, process.name) for process in found if process.name != "ps"] == [
        (int(line.split()[0]), int(line.split()[1]), line.split()[4]) for line in told
        if len(line.split()) == 5 and line.split()[4] != "ps"]


def test_a_kernel_that_has_not_started_has_no_processes() -> None:
    vm = Vm(VmConfig(technique="shadow", memory=16 << 20), load_image(image("kernel")))
    assert list_processes(vm) == []


def test_what_is_no_kernel_is_said() -> None:
    with pytest.raises(ConfigError, match="neither a kernel with symbols"):
        list_processes(Vm(VmConfig(memory=8 << 20), guest(BUSY)))


def make_btf() -> bytes:
    """struct inner { int a; int b; }; struct outer { char pad[8]; struct { int x; union { int y; }; }; inner in; }."""
    names = b"\0int\0inner\0a\0b\0outer\0pad\0x\0y\0in\0"

    def name(text: str) -> int:
        return names.index(b"\0" + text.encode() + b"\0") + 1

    def kind(number: int, count: int = 0) -> int:
        return number << 24 | count

    def member(text: str, type_id: int, offset: int) -> bytes:
        return struct.pack("<III", name(text) if text else 0, type_id, 8 * offset)

    types = [
        TYPE.pack(name("int"), kind(INT), 4) + bytes(4),
        TYPE.pack(name("inner"), kind(STRUCT, 2), 8) + member("a", 1, 0) + member("b", 1, 4),
        TYPE.pack(0, kind(ARRAY), 0) + struct.pack("<III", 1, 1, 2),
        TYPE.pack(0, kind(UNION, 1), 4) + member("y", 1, 0),
        TYPE.pack(0, kind(STRUCT, 2), 8) + member("x", 1, 0) + member("", 4, 4),
        TYPE.pack(name("outer"), kind(STRUCT, 3), 24) + member("pad", 3, 0) + member("", 5, 8) + member("in", 2, 16),
    ]
    body = b"".join(types)
    return HEADER.pack(0xEB9F, 1, 0, 24, 0, len(body), len(body), len(names)) + body + names


def test_btf_finds_members_in_anonymous_parts_too() -> None:
    btf = Btf(b"xx" + make_btf(), 2)
    assert [btf.member("outer", name).offset for name in ("pad", "x", "y", "in")] == [0, 8, 12, 16]
    assert btf.member("inner", "b").offset == 4
    with pytest.raises(KeyError):
        btf.member("outer", "z")
    with pytest.raises(KeyError):
        btf.member("nothing", "x")


def test_damaged_btf_is_said() -> None:
    with pytest.raises(ValueError, match="cut short"):
        Btf(make_btf()[:-5], 0)
    with pytest.raises(ValueError, match="no BTF"):
        Btf(b"\0" * 100, 0)
