"""Lab 5: wrong answers lose the right points, at the right place."""

from __future__ import annotations

import pytest

from hartvisor.core.vmm.recording import Replay, read_recording
from tests.labs.support import changed, judge, lost, one

MMIO = {"mmio-dispatch", "mmio-guests", "uart-guests"}
UART = {"uart-registers", "uart-guests"}
RINGS = {"rings", "disk-guests", "malicious-rings", "reads"}
DMA = {"dma", *RINGS}
ELSEWHERE = {"mmio-dispatch"}
"""Looked at, too, whatever is wrong."""

WRONG = {
    "misaligned accesses reach devices": (
        {"        if gpa % size:\n            return None\n": ""}, {"mmio-dispatch"}, MMIO,
        ("mmio-dispatch", "result")),
    "an access may end behind its region": (
        {"gpa + size <= region.base": "gpa < region.base"}, {"mmio-dispatch"}, MMIO, ("mmio-dispatch", "result")),
    "every address is a device": (
        {"                return MmioPlace(region.name, gpa - region.base)\n        return None":
         "                return MmioPlace(region.name, gpa - region.base)\n"
         "        return MmioPlace(region.name, 0)"},
        {"mmio-dispatch", "mmio-guests"}, MMIO, ("mmio-guests", "mmio_dispatch")),
    "the divisor latch is forgotten": (
        {"if offset < IIR and self.lcr & LCR_DLAB:\n            return": "if False:\n            return"},
        {"uart-registers"}, UART, ("uart-registers", "DL")),
    "reading IIR leaves the interrupt": (
        {"            if cause == IIR_THRE:\n                self.is_thre_news = False\n": ""},
        {"uart-registers"}, UART, ("uart-registers", "interrupt")),
    "the transmitter goes before the receiver": (
        {"if self.ier & IER_RDA and received:": "if self.ier & IER_RDA and received and not self.is_thre_news:"},
        {"uart-registers"}, UART, ("uart-registers", "interrupt")),
    "DR stays until it is read twice": (
        {"ready = LSR_DR if self.typed else 0": "ready = LSR_DR if self.typed or self.lcr else 0"},
        {"uart-registers"}, UART, ("uart-registers", "LSR")),
    "pages are taken to lie behind each other": (
        {"size = min(length, PAGE_SIZE - gpa % PAGE_SIZE)": "size = length"}, {"dma"}, DMA,
        ("dma", "write of host memory")),
    "the last byte is not looked at": (
        {" and self.host.frame(gpa + length - 1) is not None": ""}, {"malicious-rings"}, RINGS,
        ("malicious-rings", "result of virtq_pop")),
    "a chain may loop": (
        {'return BrokenRing("a chain that loops")': "return chain"}, {"malicious-rings"}, RINGS,
        ("malicious-rings", "result of virtq_pop")),
    "descriptor n of n": (
        {"if index >= self.ring.size:": "if index > self.ring.size:"}, {"malicious-rings"}, RINGS,
        ("malicious-rings", "result of virtq_pop")),
    "idx is believed": (
        {"if waiting > self.ring.size:": "if False:"}, {"malicious-rings"}, RINGS,
        ("malicious-rings", "result of virtq_pop")),
    "checked once, and then read again": (
        {"            data = self.read_guest(self.ring.descriptors":
         "            self.read_guest(self.ring.descriptors + DESC_SIZE * index, 8)\n"
         "            data = self.read_guest(self.ring.descriptors"},
        {"malicious-rings", "reads"}, RINGS, ("malicious-rings", "result of virtq_pop")),
    "idx does not wrap": (
        {"self.next_available = self.next_available + 1 & U16": "self.next_available = self.next_available + 1"},
        {"rings"}, RINGS, None),
    "idx before the element": (
        {"        self.write_guest(slot, head":
         "        self.write_guest(self.ring.device + 2, (self.next_used + 1 & U16).to_bytes(2, 'little'))\n"
         "        self.write_guest(slot, head"},
        {"rings", "disk-guests"}, RINGS, ("rings", "order of virtq_push")),
    "written is not told": (
        {'written.to_bytes(4, "little")': "bytes(4)"}, {"rings", "disk-guests"}, RINGS,
        ("disk-guests", "used.ring[")),
    "slots go on behind the ring": (
        {"8 * (self.next_used % self.ring.size)": "8 * self.next_used"}, {"rings"}, RINGS, ("rings", "write to hpa")),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answer(name: str) -> None:
    changes, missing, possible, place = WRONG[name]
    result = judge(5, changed(5, changes), names=sorted(missing | possible | ELSEWHERE))
    assert missing <= lost(result) <= missing | possible
    if place is not None:
        found = one(result, place[0]).first_divergence
        assert found is not None
        assert place[1] in found.field


def test_the_machines_are_compared_after_each_access() -> None:
    """However the hypervisor shortens its way to a device."""
    result = judge(5, changed(5, {}), names=("mmio-guests", "uart-guests", "disk-guests"))
    for check in result.checks:
        assert 50 < check.metrics["accesses"] <= check.metrics["exits"]


def test_doing_nothing_fails_the_negative_check() -> None:
    """Neither does passing everything on."""
    for answer in ("return None\n", "return BrokenRing('no')\n",
                   "return self.follow(self.load16(self.ring.driver + 4))\n"):
        start = "        if self.known == self.next_available:\n"
        check = one(judge(5, changed(5, {start: f"        {answer}{start}"}), names=("malicious-rings",)))
        assert check.points == 0


def test_reading_idx_for_each_chain_brings_fewer_points() -> None:
    result = judge(5, changed(5, {"        if self.known == self.next_available:\n": "        if True:\n"}),
                   names=("rings", "malicious-rings", "disk-guests", "reads"))
    assert lost(result) == {"reads"}
    assert 0 < one(result, "reads").points < one(result, "reads").max


def test_the_hypervisors_memory_is_out_of_reach() -> None:
    """To write to it ends the check; to name what is no memory is a mistake of the student's code."""
    start = "        pieces = self.pieces(gpa, len(data))\n"
    for hpa, status in (("self.host.frame(gpa) + 4096", "fail"), ("-1", "crash"), ("1 << 70", "crash"), ("0", "crash"),
                        ("'x'", "crash")):
        reach = {start: f"        self.host.write({hpa}, b'got you')\n{start}"}
        check = one(judge(5, changed(5, reach), names=("dma",)))
        assert check.status.value == status, check
        assert check.points == 0


def test_a_recording_has_the_disk_and_what_was_typed(tmp_path) -> None:
    """Up to the divergence the student's run and the recorded one are the same."""
    for wrong, name in (("written is not told", "disk-guests"), ("DR stays until it is read twice", "uart-guests")):
        check = one(judge(5, changed(5, WRONG[wrong][0]), names=(name,), artifacts=tmp_path))
        found = check.first_divergence
        assert found is not None and check.replay is not None
        again = Replay(read_recording(tmp_path / check.replay.rpartition("/")[2]), lambda data: None)
        again.run(found.step)
        assert again.vm.hart.pc == found.pc
        again.run(again.recording.length, is_verified=True)
