"""Answers of the labs with guests, whose harts, verdicts and tables make no sense: no points, and no bug of ours."""

from __future__ import annotations

import pytest

from tests.labs.support import judge, one, with_answer

HARTS = {
    "registers that are too few": "hart.gprs = []",
    "registers of words": "hart.gprs = ['a'] * 32",
    "huge registers": "hart.gprs[5] = 1 << 5000",
    "negative registers": "hart.gprs[5] = -1",
    "a mode that is none": "hart.mode = 7",
    "a mode that is true": "hart.mode = True",
    "a pc beyond": "hart.pc = 1 << 64",
    "a pc of None": "hart.pc = None",
    "CSRs gone": "hart.csrs.clear()",
    "a CSR of text": "hart.csrs[0x100] = 'x'",
    "a CSR more": "hart.csrs[0x300] = 1",
    "an illegal satp": "hart.csrs[0x180] = (7 << 60) | 1",
    "satp to nowhere": "hart.csrs[0x180] = (8 << 60) | (1 << 43)",
    "billions of steps": "hart.steps = 10 ** 9",
    "negative steps": "hart.steps = -5",
    "another class": "hart.__class__ = type('H', (), {})",
    "no verdict": "return None",
    "a verdict of 1": "return 1",
    "questions without end": "while True: hart.following()",
    "a question of nonsense": "from hartvisor.labs.kit import remote; remote.ask('hart.following', (5,))",
    "a question nobody knows": "from hartvisor.labs.kit import remote; remote.ask('../../etc', ('x' * 100,))",
    "forty arguments": "from hartvisor.labs.kit import remote; remote.ask('hart.following', (0,) * 40)",
}

PAGERS = {
    "a root of nothing": ("root", "return None"),
    "a root of the guest's": ("root", "return 0x80300000"),
    "a root beyond": ("root", "return 1 << 70"),
    "tables without end": ("root", "while True: self.machine.allocate()"),
    "a table freed in use": ("root", "t = self.machine.allocate(); self.machine.free(t); return t"),
    "a table that is its own": (
        "root", "t = self.machine.allocate(); [self.machine.store(t + 8 * i, t >> 2 | 1) for i in range(512)]; "
        "return t"),
    "leaves to the machine's own memory": (
        "root", "t = self.machine.allocate(); self.machine.store(t + 16, (t >> 2) | 0xdf); return t"),
    "leaves to where nothing is": (
        "root", "t = self.machine.allocate(); self.machine.store(t + 16, (1 << 50) | 0xdf); return t"),
    "a verdict of its own": ("classify_fault", "return {'kind': 'guest'}"),
    "a verdict that is a lie": (
        "classify_fault", "from hartvisor.labs.kit.paging import Verdict; return Verdict('device', gpa=0x10000005)"),
    "never a fill": ("classify_fault", "from hartvisor.labs.kit.paging import Verdict; "
                     "return Verdict('shadow', gpa=gva)"),
}

DEVICES = {
    "no place": ("mmio_dispatch", "return 'UART'"),
    "a place of nonsense": ("mmio_dispatch", "return MmioPlace([], 'x')"),
    "a register of text": ("load", "return 'x'"),
    "a huge register": ("load", "return 1 << 5000"),
    "a negative register": ("load", "return -1"),
    "a register of truth": ("load", "return True"),
    "text on the line": ("store", "return 'x'"),
    "a flood on the line": ("store", "return bytes(1 << 20)"),
    "an interrupt of 1": ("interrupt", "return 1"),
    "no chain": ("virtq_pop", "return [1, 2]"),
    "a chain of nonsense": ("virtq_pop", "return BufferChain([], 'ab', None)"),
    "a chain of strange buffers": ("virtq_pop", "return BufferChain(0, [(1,), 'x', (-1, 'y')], [[[]]])"),
    "reads without end": ("virtq_pop", "while True: self.host.read(self.host.frame(0x80300000), 1)"),
    "a read of everything": ("virtq_pop", "self.host.read(0x80000000, 1 << 31)"),
    "a read of nothing": ("virtq_pop", "self.host.read(None, -1)"),
    "a write of text": ("virtq_pop", "self.host.write(self.host.frame(0x80300000), 'x')"),
    "a write to the ring": ("virtq_pop", "self.host.write(self.host.frame(self.ring.driver), b'x')"),
    "a frame of text": ("virtq_pop", "self.host.frame('x')"),
}

EMULATOR = """
class Emulator:
    def use(self, rows): pass
    def handle_illegal(self, hart, instruction):
        {body}
        return True
"""

PAGER = """
class ShadowPager:
    def use(self, machine): self.machine = machine
    def shadow_fill(self, context, gva, access): pass
    def on_sfence(self, context, gva, asid): pass
    def root(self, context):
        {root}
    def classify_fault(self, context, gva, access):
        {classify_fault}
"""

ALL_DEVICES = """
from hartvisor.labs.kit.devices import BufferChain, MmioPlace
class Bus:
    def use(self, regions): pass
    def mmio_dispatch(self, gpa, size):
        {mmio_dispatch}
class Uart:
    def load(self, offset):
        {load}
    def store(self, offset, value):
        {store}
    def receive(self, data): pass
    def interrupt(self):
        {interrupt}
class Virtqueue:
    def use(self, host, ring): self.host, self.ring = host, ring
    def virtq_pop(self):
        {virtq_pop}
"""


@pytest.mark.parametrize("name", HARTS)
def test_harts_that_are_none(name: str) -> None:
    check = one(judge(2, with_answer(2, EMULATOR.format(body=HARTS[name])), names=("supervisor-guests",)))
    assert check.status.value in ("fail", "crash", "fuel"), check
    assert check.points == 0


@pytest.mark.parametrize("name", PAGERS)
def test_pagers_that_are_none(name: str) -> None:
    where, body = PAGERS[name]
    bodies = {"root": "return self.machine.allocate()", "classify_fault": "return None"} | {where: body}
    check = one(judge(4, with_answer(4, PAGER.format(**bodies)), names=("mapping",)))
    assert check.status.value in ("fail", "crash", "fuel"), check
    assert check.points == 0


@pytest.mark.parametrize("name", DEVICES)
def test_devices_that_are_none(name: str) -> None:
    where, body = DEVICES[name]
    right = {"load": "return 0", "store": "return b''", "interrupt": "return False", "virtq_pop": "return None",
             "mmio_dispatch": "return MmioPlace('UART', gpa & 7) if gpa >> 8 == 0x100000 else MmioPlace('PLIC', 40)"}
    names = {"mmio_dispatch": "mmio-guests", "virtq_pop": "rings"}
    check = one(judge(5, with_answer(5, ALL_DEVICES.format(**right | {where: body})),
                      names=(names.get(where, "uart-registers"),)))
    assert check.status.value in ("fail", "crash", "fuel"), check
    assert check.points == 0
