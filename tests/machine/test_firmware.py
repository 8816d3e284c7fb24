"""Firmware that nobody here wrote: the OpenSBI that comes with QEMU finds its way about the board."""

from __future__ import annotations

from pathlib import Path
from struct import pack

import pytest

from hartvisor.core.devices.console import ConsoleEnd
from hartvisor.core.devices.test_finisher import Finish, Outcome
from hartvisor.core.isa.assembler import assemble
from hartvisor.core.machine.boot import read_files
from hartvisor.core.machine.loader import load_image
from hartvisor.core.machine.machine import Machine, StopReason
from tests.oracles import require_oracle

MIB = 1 << 20
MEMORY = 32 * MIB
KERNEL = 0x8020_0000
INFO = 0x8030_0000
A2 = 12
S_MODE = 1
#: "Hi" by the legacy console call, then the legacy shutdown.
SOURCE = "li a7, 1\n li a0, 'H'\n ecall\n li a7, 1\n li a0, 'i'\n ecall\n li a7, 8\n ecall\n j ."


def opensbi() -> Path:
    """OpenSBI's fw_dynamic, from the folder of QEMU's data."""
    program = Path(require_oracle("qemu-system-riscv64")).resolve()
    firmware = program.parent.parent / "share/qemu/opensbi-riscv64-generic-fw_dynamic.elf"
    if not firmware.exists():
        pytest.skip("needs QEMU's OpenSBI: apt-get install qemu-system-data")
    return firmware


def machine_with(firmware: Path, n_harts: int) -> tuple[Machine, bytearray]:
    """A machine that starts the firmware, which starts SOURCE in S-mode; and what it prints."""
    output = bytearray()
    machine = Machine(MEMORY, n_harts=n_harts, console=ConsoleEnd(output.extend))
    machine.load(load_image(firmware))
    machine.memory.write(KERNEL, assemble(SOURCE, KERNEL).code)
    # struct fw_dynamic_info: magic, version, next address, next mode, options, boot hart (any would do: -1)
    machine.memory.write(INFO, pack("<6Q", 0x4942_534F, 2, KERNEL, S_MODE, 0, (1 << 64) - 1))
    for hart in machine.harts:
        hart.write_gpr(A2, INFO)
    return machine, output


@pytest.mark.parametrize("n_harts", [1, 4])
def test_opensbi_boots_starts_a_kernel_and_powers_off(n_harts: int) -> None:
    machine, output = machine_with(opensbi(), n_harts)
    assert machine.run(100_000_000).reason is StopReason.FINISHED
    assert machine.finish == Finish(Outcome.PASS)
    text = output.decode()
    assert text.endswith("Hi")
    for line in (
        f"Platform HART Count       : {n_harts}",
        "Platform IPI Device       : aclint-mswi",
        "Platform Timer Device     : aclint-mtimer @ 10000000Hz",
        "Platform Console Device   : uart8250",
        "Platform Shutdown Device  : sifive_test",
    ):
        assert line in text


def test_two_boots_are_alike_step_for_step() -> None:
    first, second = (machine_with(opensbi(), 2) for _ in range(2))
    for machine, _ in (first, second):
        machine.run(100_000_000)
    assert first[1] == second[1]
    assert [hart.steps for hart in first[0].harts] == [hart.steps for hart in second[0].harts]


def test_archives_of_one_initial_ramdisk_start_at_multiples_of_four(tmp_path: Path) -> None:
    """Linux, init/initramfs.c: the header of a cpio archive lies there, and zeros before it are skipped."""
    for name, data in (("first", b"070701"), ("second", b"rest")):
        (tmp_path / name).write_bytes(data)
    assert read_files([tmp_path / "first", tmp_path / "second"]) == b"070701\0\0rest"
    assert read_files([]) == b""
