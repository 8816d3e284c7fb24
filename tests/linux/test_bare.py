"""The bare machine boots what QEMU's `virt` boots: OpenSBI, Debian's kernel, U-Boot."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from .support import NETWORK, RELEASE, answers, check_network, hartvisor, require_debian

FW_CFG = b"modprobe qemu_fw_cfg; echo fw_cfg: $(cat /sys/firmware/qemu_fw_cfg/by_name/opt/greeting/raw)\n"


@pytest.mark.parametrize(("harts", "firmware"), [(1, "fw_jump.bin"), (4, "fw_dynamic.bin")])
def test_debian_boots_through_opensbi_to_its_shell_and_powers_off(tmp_path: Path, harts: int, firmware: str) -> None:
    folder = require_debian()
    result = tmp_path / "result.json"
    run = hartvisor("machine", "debian", "--bios", str(folder / firmware), "--smp", str(harts), "--json", str(result),
                    "--netdev", "echo", "--fw-cfg", "name=opt/greeting,string=from the host",
                    typed=b"uname -r\nnproc\n" + NETWORK + FW_CFG + b"poweroff -f\n")
    assert run.status == 0, run.err
    assert b"OpenSBI v1.6" in run.out
    said = answers(run.out)
    assert said[0].startswith(RELEASE)
    assert said[1] == str(harts).encode()
    check_network(said)
    assert b"fw_cfg: from the host" in said
    assert json.loads(result.read_text())["stop"] == {"reason": "power-off", "detail": "pass"}


def test_kvm_finds_the_hypervisor_extension_and_without_more_input_the_run_ends() -> None:
    require_debian()
    run = hartvisor("machine", "debian", typed=b"modprobe kvm\n")
    assert b"hypervisor extension available" in run.out
    assert "asleep: nothing but timers for 60 s of its time, and the input has ended" in run.err
    assert run.status == 1


@pytest.mark.parametrize("arguments", [
    ("--bios", "{folder}/u-boot.bin"),
    ("--bios", "{folder}/fw_dynamic.bin", "--kernel", "{folder}/u-boot-smode.bin"),
], ids=["m-mode", "s-mode"])
def test_u_boot_reaches_its_prompt(arguments: tuple[str, ...]) -> None:
    folder = require_debian()
    filled = [argument.format(folder=folder) for argument in arguments]
    # The first key stops the countdown to autoboot.
    run = hartvisor("machine", *filled, "--budget", "1G", typed=b"\nversion\npoweroff\n")
    assert b"=> version\r\nU-Boot 2025" in run.out.replace(b"\n\r", b"\r\n"), run.out
    assert run.status == 0


def test_packed_kernels_are_unpacked(tmp_path: Path) -> None:
    """An EFI zboot file is what newer Debian kernels are; gzip is what vmlinuz is elsewhere."""
    folder = require_debian()
    payload = gzip.compress((folder / "Image").read_bytes(), 1)
    header = b"MZ\0\0zimg" + (64).to_bytes(4, "little") + len(payload).to_bytes(4, "little") + bytes(8) + b"gzip"
    packed = tmp_path / "vmlinuz"
    packed.write_bytes(header.ljust(64, b"\0") + payload)
    run = hartvisor("machine", "--kernel", str(packed), "--append", "earlycon=sbi", "--budget", "80M")
    assert b"Linux version 6.12" in run.out
