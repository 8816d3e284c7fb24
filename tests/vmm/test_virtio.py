"""A guest with a disk: the same under every technique, the device's stores seen by whoever must see them."""

from __future__ import annotations

from hartvisor.core.devices.virtio.block import VirtioBlock
from hartvisor.core.devices.virtio.device import VirtioDevice
from hartvisor.core.devices.virtio.storage import MemoryDisk
from hartvisor.core.machine.machine import Machine
from hartvisor.core.vmm.compare import COMPARED, compare
from hartvisor.core.vmm.config import VmConfig

from .support import MEMORY, assert_equivalent, guest

RING = 0x8040_0000  # descriptors; driver area at +0x100, device area at +0x200, request at +0x300
BUFFER = 0x8041_0000

DRIVE = f"""
    li s0, 0x10001000       # slot 0
    li s1, {RING}
    li t0, 15               # after ACKNOWLEDGE, DRIVER and VERSION_1: FEATURES_OK and DRIVER_OK
    sw zero, 0x70(s0)
    li t1, 3
    sw t1, 0x70(s0)
    li t1, 1
    sw t1, 0x24(s0)
    sw t1, 0x20(s0)
    li t1, 11
    sw t1, 0x70(s0)
    sw zero, 0x30(s0)
    li t1, 8
    sw t1, 0x38(s0)         # eight entries
    sw s1, 0x80(s0)
    addi t1, s1, 0x100
    sw t1, 0x90(s0)
    addi t1, s1, 0x200
    sw t1, 0xa0(s0)
    li t1, 1
    sw t1, 0x44(s0)
    sw t0, 0x70(s0)
    addi t1, s1, 0x300      # descriptor 0: the header of a read of sector 1
    sd t1, 0(s1)
    li t2, 0x1000100000010  # 16 bytes, NEXT, descriptor 1
    sd t2, 8(s1)
    li t1, 1
    sd t1, 0x308(s1)
    li t1, {BUFFER}         # descriptor 1: 512 bytes, NEXT and WRITE, descriptor 2
    sd t1, 16(s1)
    li t2, 0x2000300000200
    sd t2, 24(s1)
    addi t1, s1, 0x310      # descriptor 2: the status, WRITE
    sd t1, 32(s1)
    li t2, 0x200000001
    sd t2, 40(s1)
    li t1, 0xff
    sb t1, 0x310(s1)
    li t1, 0x10000          # head 0, index 1
    sw t1, 0x100(s1)
    li t0, 0xc000004        # PLIC: priority of source 1, enable for S-mode
    li t1, 1
    sw t1, 0(t0)
    li t0, 0xc002080
    li t1, 2
    sw t1, 0(t0)
    li t0, 0x200
    csrw sie, t0
"""

READ = DRIVE + f"""
    li s2, {BUFFER}
    lr.d t0, (s2)           # the disk's store breaks this reservation
    sw zero, 0x50(s0)
    sc.d s3, t0, (s2)
    wfi
    li t0, 0xc201004
    lw s4, 0(t0)            # claim: source 1
    lw s5, 0x60(s0)
    sw s5, 0x64(s0)
    sw s4, 0(t0)
    csrr s6, sip
    lhu s7, 0x202(s1)
    lbu s8, 0x310(s1)
    ld s9, 0(s2)
    j .
"""

S2, S3, S4, S5, S6, S7, S8, S9 = range(18, 26)


def disk(content: bytes) -> list[VirtioDevice]:
    """A disk with this in sector 1."""
    storage = MemoryDisk(4096)
    storage.write(512, content)
    return [VirtioBlock(storage)]


def test_a_guest_reads_a_sector_by_interrupt_under_every_technique() -> None:
    vms = assert_equivalent(READ, 400, devices=lambda: disk(b"in time!" * 64))
    gprs = vms[0].hart.read_gprs()
    assert (gprs[S4], gprs[S5], gprs[S7], gprs[S8]) == (1, 1, 1, 0)
    assert gprs[S9] == int.from_bytes(b"in time!", "little")
    assert gprs[S3] == 1, "the reservation outlived the disk's store"
    assert not gprs[S6] >> 9 & 1


def test_the_bare_machine_under_firmware_has_the_same_disk() -> None:
    machine = Machine(MEMORY, devices=disk(b"in time!" * 64))
    image = guest(READ.replace("csrw sie, t0", "").replace("wfi", "").replace("csrr s6, sip", "li s6, 0"))
    machine.load(image)
    machine.run(400)
    gprs = machine.harts[0].read_gprs()
    assert (gprs[S3], gprs[S4], gprs[S7], gprs[S8]) == (1, 1, 1, 0)
    assert gprs[S9] == int.from_bytes(b"in time!", "little")


TABLE = 0x8042_0000
GIGAPAGE = 0xCF  # D A X W R V


def entry(hpa: int) -> int:
    """A gigapage."""
    return hpa >> 2 | GIGAPAGE


PAGED = DRIVE + f"""
    li s3, {TABLE}
    li t0, {entry(0)}
    sd t0, 0(s3)            # the devices at their own addresses
    li t0, {entry(0x8000_0000)}
    sd t0, 16(s3)           # RAM too
    sd t0, 24(s3)           # and again
    li t0, {8 << 60 | TABLE >> 12:#x}
    csrw satp, t0
"""


def test_code_that_a_disk_stores_is_what_runs() -> None:
    """The guest has run what the disk replaces; nothing is fenced."""
    text = PAGED + f"""
    li s2, {BUFFER}
    li t0, 0x8067           # ret
    sw t0, 0(s2)
    jalr s2
    sw zero, 0x50(s0)
    jalr s2
    j .
    """
    code = bytes.fromhex("1305150067800000")  # addi a0, a0, 1; ret
    vms = assert_equivalent(text, 300, devices=lambda: disk(code.ljust(512, b"\0")))
    assert vms[0].hart.read_gpr(10) == 1


def test_a_page_table_that_a_disk_stores_is_what_translates() -> None:
    """The disk replaces the table that is in use; nothing is fenced."""
    text = PAGED.replace(f"li t1, {BUFFER}", f"li t1, {TABLE}") + f"""
    la t0, trapped
    csrw stvec, t0
    li s2, {TABLE + 0x4000_0000}
    ld s4, 24(s2)
    sw zero, 0x50(s0)
    ld s5, 24(s2)
    j .
    .align 2
trapped:
    csrr s6, scause
    j .
    """
    table = b"".join(entry(hpa).to_bytes(8, "little") for hpa in (0, 0, 0x8000_0000, 0x4000_0000))
    vms = assert_equivalent(text, 300, devices=lambda: disk(table.ljust(512, b"\0")))
    gprs = vms[0].hart.read_gprs()
    assert (gprs[S4], gprs[S5], gprs[S6]) == (entry(0x8000_0000), 0, 5)


def test_compare_gives_each_technique_devices_of_its_own() -> None:
    image = guest(READ)
    result = compare(image, VmConfig(memory=MEMORY), budget=400, checkpoint_steps=50,
                     devices=lambda: disk(b"x" * 512))
    assert result.equivalent
    assert set(result.runs) == set(COMPARED)
