"""Pages in the balloon: their frames are the machine's again, and the guest that uses one anew finds zeros."""

from __future__ import annotations

import pytest

from hartvisor.core.devices.virtio.balloon import VirtioBalloon
from hartvisor.core.devices.virtio.device import VirtioDevice
from hartvisor.core.hart import WATCH_LOADS, WATCH_STORES
from hartvisor.core.vmm.compare import COMPARED
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.snapshots import Snapshots
from hartvisor.core.vmm.stop import StopReason

from .support import assert_equivalent, start
from .test_virtio import TABLE, entry

RINGS = 0x8040_0000  # descriptors; driver area at +0x100, device area at +0x200, page numbers at +0x300
GIVEN = (0x8050_0000, 0x8050_1000, 0x8050_3000)
KEPT = 0x8050_2000
CODE = 0x8051_0000
LEAVES = 0x8052_0000  # a table that maps the gigabyte at 2 GiB again, in megapages

FILL = f"""
    li s2, {GIVEN[0]}
    li s3, 4
    li t0, 0x1000
fill:
    sd s2, 8(s2)
    add s2, s2, t0
    addi s3, s3, -1
    bnez s3, fill
    li s2, {CODE}
    li t1, 0x8067           # ret
    sw t1, 0(s2)
    jalr s2
"""
NUMBERS = "".join(f"li t1, {gpa >> 12}\n sw t1, {0x300 + 4 * index}(s1)\n"
                  for index, gpa in enumerate((*GIVEN, CODE, LEAVES)))
INFLATE = f"""
    li s0, 0x10001000
    li t1, 3
    sw t1, 0x70(s0)
    li t1, 1
    sw t1, 0x24(s0)
    sw t1, 0x20(s0)
    li t1, 11
    sw t1, 0x70(s0)
    sw zero, 0x30(s0)
    li t1, 8
    sw t1, 0x38(s0)
    li s1, {RINGS}
    sw s1, 0x80(s0)
    addi t1, s1, 0x100
    sw t1, 0x90(s0)
    addi t1, s1, 0x200
    sw t1, 0xa0(s0)
    li t1, 1
    sw t1, 0x44(s0)
    addi t1, s1, 0x300
    sd t1, 0(s1)
    li t1, {4 * (len(GIVEN) + 2)}
    sd t1, 8(s1)
    {NUMBERS}
    li t1, 0x10000
    sw t1, 0x100(s1)
    li s2, {GIVEN[0]}
    li t1, 15
    lr.d t2, (s2)           # a reservation in a page that goes
    sw t1, 0x70(s0)         # DRIVER_OK: what waits is looked at
    sc.d s3, t2, (s2)
"""
LOOK = f"""
    li t0, {KEPT}
    ld s5, 8(t0)
    li t0, {GIVEN[1]}
    ld s6, 8(t0)
    sd t0, 16(t0)
    ld s7, 16(t0)
    lhu s8, 0x202(s1)
    j .
"""
PLAIN = FILL + INFLATE + LOOK
PAGED = f"""
    li t3, {TABLE}
    li t0, {entry(0)}
    sd t0, 0(t3)
    li t0, {entry(0x8000_0000)}
    sd t0, 16(t3)
    li t4, {LEAVES}         # the gigabyte at 3 GiB: a table of megapages, at first with one for 0x80400000
    li t0, {entry(0x8040_0000)}
    sd t0, 16(t4)
    li t0, {LEAVES >> 2 | 1}
    sd t0, 24(t3)
    li t0, {8 << 60 | TABLE >> 12:#x}
    csrw satp, t0
    li t5, {GIVEN[0] + 0x4000_0000}
    {FILL}
    la t0, trapped
    csrw stvec, t0
    ld s9, 8(t5)            # through the table that will be given away
""" + INFLATE + f"""
    li t0, {KEPT}
    ld s5, 8(t0)
    li t0, {GIVEN[1]}
    ld s6, 8(t0)
    ld s4, 8(t5)
    j .
    .align 2
trapped:
    csrr s10, scause
    j .
"""
S3, S4, S5, S6, S7, S8, S9, S10 = range(19, 27)


def balloon() -> list[VirtioDevice]:
    return [VirtioBalloon()]


def test_given_pages_read_zeros_and_can_be_used_again_under_every_technique() -> None:
    vms = assert_equivalent(PLAIN, 200, devices=balloon)
    gprs = vms[0].hart.read_gprs()
    assert (gprs[S3], gprs[S5], gprs[S6], gprs[S7], gprs[S8]) == (1, KEPT, 0, GIVEN[1], 1)
    for vm in vms[1:]:
        mapped = [gpa for gpa in (*GIVEN, KEPT, CODE) if vm.ram.is_mapped(gpa >> 12)]
        assert mapped == [GIVEN[0], GIVEN[1], KEPT], vm.config.technique
        assert vm.frames.owners["guest"] == len(vm.ram.mapped())


def test_a_given_page_table_leads_nowhere_without_a_fence() -> None:
    vms = assert_equivalent(PAGED, 300, devices=balloon)
    gprs = vms[0].hart.read_gprs()
    assert (gprs[S9], gprs[S5], gprs[S6], gprs[S4], gprs[S10]) == (GIVEN[0], KEPT, 0, 0, 13)


@pytest.mark.parametrize("technique", ["two-stage", "shadow", "deprivileged"])
def test_snapshots_follow_the_frames(technique: str) -> None:
    vm = start(PLAIN, technique, devices=balloon())
    vm.run(30)
    snapshots = Snapshots(vm)
    before = snapshots.take()
    vm.run(170)
    after, expected = snapshots.take(), digest(vm)
    snapshots.restore(before)
    assert vm.ram.load(GIVEN[1] + 8, 8) == GIVEN[1]
    vm.run(170)
    assert digest(vm) == expected
    snapshots.restore(after)
    assert digest(vm) == expected


def test_watchpoints_follow_the_frames() -> None:
    """The frame that was behind a watched page may be behind another now."""
    found = []
    for technique in COMPARED:
        vm = start(PLAIN, technique, devices=balloon())
        vm.watchpoints = ((GIVEN[1] + 16, 8, WATCH_LOADS | WATCH_STORES),)
        stops = [vm.run(200 - vm.steps) for _ in range(4)]
        found.append([(stop.reason, stop.steps) for stop in stops])
    assert found == [found[0]] * len(COMPARED)
    assert StopReason.WATCHPOINT in [reason for reason, _ in found[0]]
