"""Debian's kernel on the bare machine with the Advanced Interrupt Architecture: its devices and its IPIs come that way.

Two boots: with an APLIC that drives wires, on one hart, and with an APLIC that sends messages to IMSICs, on four, where
KVM finds the guests' interrupt files and runs a VM.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .support import answers, hartvisor, require_debian

SECTOR = b"read through an interrupt\n"
TYPED = b"head -n 1 /dev/vda\ncat /proc/interrupts\n"
KVM = b"modprobe kvm\nkvmrun nested.elf\ndmesg | grep kvm\n"
POWER_OFF = b"poweroff -f\n"


def interrupts(lines: list[bytes]) -> dict[str, tuple[int, str]]:
    """/proc/interrupts: by device, how often it interrupted in all, and the controller's name."""
    found = {}
    for line in lines:
        match = re.match(rb" *\d+:((?: +\d+)+)  ?(\S+) .* (\S+)$", line)
        if match:
            found[match[3].decode()] = sum(map(int, match[1].split())), match[2].decode()
    return found


@pytest.mark.parametrize(("aia", "harts", "chip"), [
    ("aplic", 1, "APLIC-DIRECT"), ("aplic-imsic", 4, "APLIC-MSI-d000000.interrupt-controller"),
])
def test_devices_interrupt_through_it(tmp_path: Path, aia: str, harts: int, chip: str) -> None:
    require_debian()
    disk = tmp_path / "disk.img"
    disk.write_bytes(SECTOR.ljust(1 << 20, b"\0"))
    with_files = aia == "aplic-imsic"
    run = hartvisor("machine", "debian", "--aia", aia, "--smp", str(harts), "--drive", str(disk),
                    typed=TYPED + (KVM if with_files else b"") + POWER_OFF)
    assert run.status == 0, run.err
    said = answers(run.out)
    assert any(SECTOR.strip() in line for line in said)
    seen = interrupts(said)
    for device in ("virtio0", "ttyS0"):
        count, name = seen[device]
        assert count > 0 and name == chip, seen
    assert (b"Platform IPI Device         : aia-imsic" in run.out) == with_files
    assert (b"providing IPIs using interrupt 1" in run.out) == with_files
    if with_files:
        assert any(b"AIA available with 3 guest external interrupts" in line for line in said)
        assert any(b"kvm: ok: 1 vcpus" in line for line in said)
