"""Debian's KVM on the hart's hypervisor extension: kvmrun runs a VM there, and QEMU's hart gives the same results."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hartvisor.guest.catalog import DEBIAN
from tests.guest.qemu import read_until
from tests.oracles import require_oracle

from .support import TIMEOUT, answers, hartvisor, require_debian

TYPED = b"modprobe kvm\nkvmrun nested.elf\nkvmrun --vcpus 4 nested.elf\npoweroff -f\n"
PROMPT = b"~ # "


def results(out: bytes) -> list[bytes]:
    """What the nested guest and its VMM say, but for the kernel's counts, which depend on the time."""
    return [line for line in answers(out) if line.startswith((b"nested: ", b"kvm: "))
            and not line.startswith(b"kvm: the kernel counts")]


def on_qemu(folder: Path, initrd: Path) -> bytes:
    """The console of the same boot on QEMU 10; of one hart, since four threads of QEMU's crawl where cores are few."""
    command = [require_oracle("qemu-system-riscv64-10"), "-M", "virt", "-cpu", "max", "-m", "256M", "-smp", "1",
               "-nographic", "-bios", str(folder / "fw_dynamic.bin"), "-kernel", str(folder / "Image"),
               "-initrd", str(initrd), "-append", DEBIAN.append]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        try:
            out = read_until(process, PROMPT, TIMEOUT)
            process.stdin.write(TYPED)
            process.stdin.flush()
            return out + read_until(process, None, TIMEOUT)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def console() -> bytes:
    """What the machine's says, on four harts."""
    require_debian()
    run = hartvisor("machine", "debian", "--smp", "4", typed=TYPED)
    assert run.status == 0, run.err
    return run.out


def test_vms_of_one_and_four_vcpus_compute_and_count_what_they_should(console: bytes) -> None:
    nested, one, nested_four, four = results(console)
    assert nested == b"nested: 1 vcpus, 8 ticks, 64 pages on demand each, timers by stimecmp and SBI"
    assert nested_four.startswith(b"nested: 4 vcpus, 32 ticks")
    assert one.startswith(b"kvm: ok: 1 vcpus, 8 ticks")
    assert one.endswith(b"exits: 21 mmio loads, 34 mmio stores, 2 sbi calls, 1 system event")
    assert four.startswith(b"kvm: ok: 4 vcpus, 32 ticks")


def test_qemu_gives_the_same_results(console: bytes, tmp_path: Path) -> None:
    initrd = tmp_path / "initrd"
    initrd.write_bytes(b"".join(path.read_bytes() for path in DEBIAN.initrd))
    assert results(on_qemu(require_debian(), initrd)) == results(console)
