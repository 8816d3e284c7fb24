"""fw_cfg: by hand, and by random accesses that QEMU's gets too."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from hartvisor.core.devices import fw_cfg as f
from hartvisor.core.devices.device import DeviceFault
from hartvisor.core.hart import Memory
from hartvisor.core.machine.memory_map import FW_CFG, RAM_BASE
from tests.oracles import require_oracle

from .qemu_board import QemuBoard

NAME, TEXT = "opt/test", b"what a user gave: 29 bytes..."
REQUEST, BUFFER, SIZE = RAM_BASE + 0x1000, RAM_BASE + 0x2000, 0x200
OUTSIDE = 0x9000_0000
N_ACCESSES = 3_000


def device(ram: Memory | None = None) -> f.FwCfg:
    """One with a file."""
    return f.FwCfg(ram or Memory(1 << 20, RAM_BASE), 3, {NAME: TEXT, "a": b""})


def select(cfg: f.FwCfg, key: int) -> None:
    """By the selector, which is big-endian."""
    cfg.store(f.SELECTOR, 2, int.from_bytes(key.to_bytes(2, "little"), "big"))


def read(cfg: f.FwCfg, key: int, length: int) -> bytes:
    """An item's first bytes, one at a time."""
    select(cfg, key)
    return bytes(cfg.load(f.DATA, 1) for _ in range(length))


def test_it_says_what_it_is() -> None:
    cfg = device()
    assert read(cfg, f.KEY_SIGNATURE, 6) == b"QEMU\0\0"
    assert read(cfg, f.KEY_ID, 4) == b"\3\0\0\0"
    assert cfg.load(f.DMA, 8).to_bytes(8, "little") == b"QEMU CFG"
    assert read(cfg, f.KEY_N_CPUS, 2) == b"\3\0"


def test_files_are_found_in_the_directory() -> None:
    cfg = device()
    count, = struct.unpack(">I", read(cfg, f.KEY_DIRECTORY, 4))
    entries = [struct.unpack(f.DIRECTORY_ENTRY, bytes(cfg.load(f.DATA, 1) for _ in range(64))) for _ in range(count)]
    assert [(size, name.rstrip(b"\0")) for size, _, name in entries] == [(0, b"a"), (len(TEXT), NAME.encode())]
    assert read(cfg, entries[1][1], len(TEXT) + 2) == TEXT + b"\0\0"


def test_a_name_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="1 to 55 characters"):
        f.FwCfg(Memory(1 << 20, RAM_BASE), 1, {"x" * 56: b""})


@pytest.mark.parametrize(("offset", "size"), [(f.SELECTOR, 2), (f.SELECTOR, 1), (4, 4)])
def test_what_cannot_be_read_faults(offset: int, size: int) -> None:
    with pytest.raises(DeviceFault):
        device().load(offset, size)


def test_a_saved_device_goes_on_where_it_was() -> None:
    cfg, other = device(), device()
    assert read(cfg, f.KEY_FIRST_FILE + 1, 5) == TEXT[:5]
    cfg.store(f.DMA, 4, 0)
    other.restore(cfg.save())
    assert bytes(other.load(f.DATA, 1) for _ in range(4)) == TEXT[5:9]
    assert other.save() == cfg.save() | {"offset": 9}


def test_a_request_of_four_gibibytes_costs_nothing() -> None:
    ram = Memory(1 << 20, RAM_BASE)
    cfg = device(ram)
    for control in (f.CTL_SKIP, f.CTL_READ):
        ram.write(REQUEST, f.REQUEST.pack(f.CTL_SELECT | control, 0xFFFF_FFFF, BUFFER))
        cfg.store(f.DMA, 8, int.from_bytes(REQUEST.to_bytes(8, "big"), "little"))
        assert ram.read(REQUEST, 4)[3] == (f.CTL_ERROR if control == f.CTL_READ else 0)


class Pair:
    """Ours and QEMU's; every access goes to both, and what is read is compared."""

    def __init__(self, qemu: QemuBoard) -> None:
        self.qemu, self.ram = qemu, Memory(1 << 20, RAM_BASE)
        self.cfg = device(self.ram)

    def load(self, offset: int, size: int) -> int:
        ours = self.cfg.load(offset, size)
        assert ours == self.qemu.load(FW_CFG.base + offset, size), (offset, size)
        return ours

    def store(self, offset: int, size: int, value: int) -> None:
        self.cfg.store(offset, size, value)
        self.qemu.store(FW_CFG.base + offset, size, value)

    def request(self, control: int, length: int, gpa: int, is_split: bool) -> None:
        for ram in (self.ram, self.qemu):
            ram.write(REQUEST, f.REQUEST.pack(control, length, gpa))
        address = REQUEST.to_bytes(8, "big")
        if is_split:
            self.store(f.DMA, 4, int.from_bytes(address[:4], "little"))
            self.store(f.DMA + 4, 4, int.from_bytes(address[4:], "little"))
        else:
            self.store(f.DMA, 8, int.from_bytes(address, "little"))
        for start, count in ((REQUEST, f.REQUEST.size), (BUFFER, SIZE)):
            assert self.ram.read(start, count) == self.qemu.read(start, count), (hex(control), length, hex(gpa))


def test_random_accesses_find_what_qemus_device_gives(tmp_path: Path) -> None:
    program = require_oracle("qemu-system-riscv64-10")
    options = ["-smp", "3", "-fw_cfg", f"name={NAME},string={TEXT.decode()}"]
    choose = random.Random(0x51454D55)
    with QemuBoard(program, tmp_path, options) as qemu:
        pair = Pair(qemu)
        key = file_key(qemu)
        pair.cfg._items[key] = pair.cfg._items.pop(f.KEY_FIRST_FILE + 1)
        for ram in (pair.ram, qemu):
            ram.write(BUFFER, bytes(SIZE))
        keys = (f.KEY_SIGNATURE, f.KEY_ID, f.KEY_N_CPUS, key, key, 0x7777, f.WRITE_CHANNEL | key)
        for _ in range(N_ACCESSES):
            match choose.randrange(4):
                case 0:
                    chosen = choose.choice(keys)
                    pair.store(f.SELECTOR, 2, int.from_bytes(chosen.to_bytes(2, "little"), "big"))
                case 1:
                    pair.load(f.DATA, choose.choice((1, 2, 4, 8)))
                case 2:
                    size = choose.choice((1, 2, 4, 8))
                    pair.load(f.DMA + choose.randrange(0, f.DMA_SIZE, size), size)
                case 3:
                    control = choose.choice((f.CTL_READ, f.CTL_READ, f.CTL_SKIP, f.CTL_WRITE, 0))
                    if choose.randrange(2):
                        control |= f.CTL_SELECT | choose.choice(keys) << 16
                    gpa = choose.choice((BUFFER, BUFFER + 3, OUTSIDE))
                    pair.request(control, choose.choice((0, 1, 7, 20, 100)), gpa, choose.random() < 0.3)


def file_key(qemu: QemuBoard) -> int:
    """Where QEMU has put the file among its own."""
    qemu.store(FW_CFG.base + f.SELECTOR, 2, int.from_bytes(f.KEY_DIRECTORY.to_bytes(2, "little"), "big"))
    count = int.from_bytes(bytes(qemu.load(FW_CFG.base, 1) for _ in range(4)), "big")
    for _ in range(count):
        entry = bytes(qemu.load(FW_CFG.base, 1) for _ in range(64))
        size, key, name = struct.unpack(f.DIRECTORY_ENTRY, entry)
        if name.rstrip(b"\0") == NAME.encode():
            assert size == len(TEXT)
            return int(key)
    raise AssertionError("QEMU has not put the file into its directory")
