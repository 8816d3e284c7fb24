"""What only the bare machine has: the reset ROM, the RTC's alarm, fw_cfg."""

from __future__ import annotations

from pathlib import Path

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.hart import HOST_M
from hartvisor.core.machine.machine import Machine, StopReason
from hartvisor.core.machine.memory_map import FW_CFG, RESET_ROM, RTC, device_tree_region
from tests.devices.qemu_board import QemuBoard
from tests.oracles import require_oracle

from .test_machine import MEMORY, POWER_OFF, machine_of

T0, A0, A1, A2 = 5, 10, 11, 12
DEVICE_TREE_WORD = 32
ALARM = f"""
    li t0, {RTC.base}
    li t1, 1
    sw t1, 0x10(t0)                 # IRQ_ENABLED
    sw zero, 0x0c(t0)               # ALARM_HIGH
    li t1, 1000000
    sw t1, 0x08(t0)                 # ALARM_LOW: a millisecond after the start
    li t0, PLIC
    li t1, 1
    sw t1, {4 * RTC.irq}(t0)
    li t0, 0xc002000                # what hart 0's M-mode hears of
    li t1, {1 << RTC.irq}
    sw t1, 0(t0)
    li t1, 0x800                    # MEIE
    csrw mie, t1
"""
MILLISECOND = 100_000  # steps


def test_the_reset_rom_is_qemus(tmp_path: Path) -> None:
    """But for the device tree's address, which QEMU chooses otherwise without firmware."""
    machine = machine_of("nop")
    with QemuBoard(require_oracle("qemu-system-riscv64"), tmp_path) as qemu:
        for offset in range(0, 0x60, 8):
            if offset != DEVICE_TREE_WORD:
                ours = machine.board.bus.load(RESET_ROM.base + offset, 8)
                assert (offset, ours) == (offset, qemu.load(RESET_ROM.base + offset, 8))


def test_harts_start_as_the_stub_leaves_them() -> None:
    """auipc, addi, csrr, ld, ld, jr: what they would have put where."""
    machine = machine_of("nop", n_harts=2)
    rom = machine.board.bus
    for index, hart in enumerate(machine.harts):
        assert hart.read_gpr(T0) == hart.pc == rom.load(RESET_ROM.base + 24, 8)
        assert hart.read_gpr(A0) == index
        assert hart.read_gpr(A1) == rom.load(RESET_ROM.base + DEVICE_TREE_WORD, 8) == device_tree_region(MEMORY).base
        assert hart.read_gpr(A2) == RESET_ROM.base + 40


@pytest.mark.parametrize("n_harts", [1, 3])
def test_the_rtcs_alarm_wakes_a_sleeping_machine_at_its_time(n_harts: int) -> None:
    others = "csrr t0, mhartid\n beqz t0, first\n sleep: wfi\n j sleep\n first:\n"
    machine = machine_of(others + ALARM + "wfi\n" + POWER_OFF, n_harts=n_harts)
    assert machine.run(10 * n_harts * MILLISECOND).reason is StopReason.FINISHED
    hart = machine.harts[0]
    assert MILLISECOND <= hart.steps < MILLISECOND + 20
    assert hart.idle_steps > MILLISECOND - 100


def test_how_a_run_towards_an_alarm_is_cut_into_budgets_changes_nothing() -> None:
    whole, cut = (machine_of(ALARM + "wfi\n" + POWER_OFF) for _ in range(2))
    whole.run(10 * MILLISECOND)
    while cut.run(7_777).reason is StopReason.BUDGET:
        pass
    assert (whole.harts[0].steps, whole.harts[0].idle_steps) == (cut.harts[0].steps, cut.harts[0].idle_steps)


def test_an_alarm_survives_saving() -> None:
    machine, other = machine_of(ALARM + "wfi\n" + POWER_OFF), machine_of("j .")
    machine.run(MILLISECOND // 2)
    for page, data in ((0, machine.memory.read(machine.memory.base, 4096)),):
        other.memory.write(other.memory.base + page, data)
    other.restore(machine.save())
    assert other.run(MILLISECOND).reason is StopReason.FINISHED
    assert MILLISECOND <= other.harts[0].steps < MILLISECOND + 20


def test_firmware_finds_the_files_it_was_given() -> None:
    machine = Machine(MEMORY, fw_cfg={"opt/x": b"hello"})
    bus = machine.board.bus
    assert bus.store(FW_CFG.base + 8, 2, 0x2000)  # the first file's key, 0x20, big-endian
    assert bus.load(FW_CFG.base, 4) == int.from_bytes(b"hell", "little")
    with pytest.raises(ConfigError, match="1 to 55 characters"):
        Machine(MEMORY, fw_cfg={"": b""})


def test_a_machine_without_firmware_has_none_of_these() -> None:
    bus = Machine(MEMORY, hosts=HOST_M, has_h=False).board.bus
    assert [bus.load(region.base, 4) for region in (FW_CFG, RESET_ROM, RTC)] == [None] * 3
