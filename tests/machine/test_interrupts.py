"""The machine's interrupt controllers as `--aia` chooses them: who drives whom, and what the device tree says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hartvisor.core.devices.aplic_registers import DELEGATED, DOMAINCFG, GENMSI, IE, MSIADDRCFG, NUMBER, SETIE, TARGET
from hartvisor.core.devices.uart16550 import IER, IER_THRE
from hartvisor.core.errors import ConfigError
from hartvisor.core.hart import HOST_M
from hartvisor.core.isa.causes import MEI, SEI
from hartvisor.core.isa.csrs import BY_NAME
from hartvisor.core.isa.extensions import DEFAULT_ISA, without
from hartvisor.core.machine.device_tree import build_device_tree
from hartvisor.core.machine.interrupts import Aia
from hartvisor.core.machine.machine import Machine
from hartvisor.core.machine.memory_map import APLIC_M, APLIC_S, IMSIC_M, IMSIC_S, MIN_MEMORY, UART
from tests.oracles import require_oracle

from .test_device_tree import DIFFERENT, MEMORY, Properties, tree

MIP = BY_NAME["mip"].number
WITHOUT_H = without(DEFAULT_ISA, "H")


def regions(machine: Machine) -> dict[str, tuple[int, int]]:
    """What is on the bus: base and size by name."""
    return {region.name: (region.base, region.size) for region, _ in machine.board.bus.slots}


def our_tree(aia: Aia, n_harts: int, guests: int) -> dict[str, Properties]:
    machine = Machine(MIN_MEMORY, n_harts=n_harts, aia=aia, aia_guests=guests)
    board = [region for region, _ in machine.board.bus.slots]
    return tree(build_device_tree(memory_size=MEMORY, n_harts=n_harts, board=board, isa=machine.harts[0].isa))


@pytest.mark.parametrize(("aia", "n_harts", "guests"), [
    (Aia.APLIC, 1, 0), (Aia.APLIC, 4, 0), (Aia.APLIC_IMSIC, 1, 0), (Aia.APLIC_IMSIC, 4, 3), (Aia.APLIC_IMSIC, 8, 7),
])
def test_every_node_says_what_qemus_says(tmp_path: Path, aia: Aia, n_harts: int, guests: int) -> None:
    dump = tmp_path / "virt.dtb"
    options = f",aia-guests={guests}" if aia is Aia.APLIC_IMSIC else ""
    command = [require_oracle("qemu-system-riscv64-10"), "-M", f"virt,aia={aia.value}{options},dumpdtb={dump}",
               "-m", f"{MEMORY}B", "-smp", str(n_harts), "-display", "none"]
    subprocess.run(command, check=True, capture_output=True)
    ours, theirs = our_tree(aia, n_harts, guests), tree(dump.read_bytes())
    compared = {path for path in ours if path.startswith("/soc/")}
    assert len(compared) == 12 + (4 if aia is Aia.APLIC_IMSIC else 2)
    for path in compared:
        assert {name: value for name, value in ours[path].items() if name not in DIFFERENT} == theirs[path], path


def test_the_harts_have_smaia_only_with_interrupt_files() -> None:
    """As QEMU's do; the ISA string of the device tree says so."""
    for aia, has in ((Aia.NONE, False), (Aia.APLIC, False), (Aia.APLIC_IMSIC, True)):
        isa = Machine(MIN_MEMORY, aia=aia).harts[0].isa
        assert ({"Smaia", "Ssaia"} <= isa) == has
        assert isa - {"Smaia", "Ssaia", "Smcsrind", "Sscsrind"} == DEFAULT_ISA


def test_regions_are_qemus() -> None:
    """Pages of S-mode: its own and the guests', up to the next power of two."""
    assert regions(Machine(MIN_MEMORY))["PLIC"] == (0xC00_0000, 0x60_0000)
    for guests, pages in ((0, 1), (1, 2), (2, 4), (3, 4), (4, 8), (7, 8)):
        found = regions(Machine(MIN_MEMORY, n_harts=2, aia=Aia.APLIC_IMSIC, aia_guests=guests))
        assert "PLIC" not in found
        assert (found["APLIC M"], found["APLIC S"]) == ((0xC00_0000, 0x8000), (0xD00_0000, 0x8000))
        assert found["IMSIC M"] == (0x2400_0000, 2 << 12)
        assert found["IMSIC S"] == (0x2800_0000, 2 * pages << 12)


def test_a_store_to_a_page_reaches_its_hart_and_file() -> None:
    machine = Machine(MIN_MEMORY, n_harts=2, aia=Aia.APLIC_IMSIC, aia_guests=2)
    bus = machine.board.bus
    pages = {IMSIC_M.base + 0x1000: (1, 0), IMSIC_S.base: (0, 1), IMSIC_S.base + 0x2000: (0, 3),
             IMSIC_S.base + 0x4000: (1, 1), IMSIC_S.base + 0x5000: (1, 2)}
    for identity, address in enumerate(pages, 1):
        assert bus.store(address, 4, identity)
    assert bus.store(IMSIC_S.base + 0x3000, 4, 9), "the page that fills up a hart's four"
    found = {(hart, file): machine.harts[hart].read_file(file)[2] for hart in range(2) for file in range(4)}
    assert {place: pending for place, pending in found.items() if pending} == {
        place: 1 << identity for identity, place in enumerate(pages.values(), 1)}


def test_the_uarts_wire_drives_the_harts_through_the_aplic() -> None:
    assert UART.irq is not None
    for at, irq in ((APLIC_M.base, MEI), (APLIC_S.base, SEI)):
        machine = Machine(MIN_MEMORY, n_harts=2, aia=Aia.APLIC)
        bus = machine.board.bus
        if at == APLIC_S.base:
            bus.store(APLIC_M.base + 4 * UART.irq, 4, DELEGATED)
        for offset, value in ((4 * UART.irq, 6), (TARGET + 4 * UART.irq, 1 << 18 | 1), (SETIE + NUMBER, UART.irq),
                              (DOMAINCFG, IE), (0x4020, 1)):
            assert bus.store(at + offset, 4, value)
        bus.store(UART.base + IER, 1, IER_THRE)
        assert [hart.read_csr(MIP) for hart in machine.harts] == [0, 1 << irq]


def test_messages_go_to_interrupt_files_and_nowhere_else() -> None:
    """An APLIC told to send to RAM, or to itself, sends into the void."""
    machine = Machine(MIN_MEMORY, aia=Aia.APLIC_IMSIC)
    bus = machine.board.bus
    for base in (0x8000_0000, APLIC_M.base + 0x3000, UART.base):
        bus.store(APLIC_M.base + MSIADDRCFG, 4, base >> 12)
        bus.store(APLIC_M.base + GENMSI, 4, 9)
    assert machine.memory.load(0x8000_0000, 4) == 0
    bus.store(APLIC_M.base + MSIADDRCFG, 4, IMSIC_M.base >> 12)
    bus.store(APLIC_M.base + GENMSI, 4, 9)
    assert machine.harts[0].read_file(0)[2] == 1 << 9


def test_without_h_there_are_no_files_for_guests() -> None:
    machine = Machine(MIN_MEMORY, aia=Aia.APLIC_IMSIC, isa=WITHOUT_H)
    assert regions(machine)["IMSIC S"] == (0x2800_0000, 0x1000)


def test_a_machine_is_saved_and_restored_with_its_interrupts() -> None:
    one, two = (Machine(MIN_MEMORY, aia=Aia.APLIC_IMSIC) for _ in range(2))
    one.board.bus.store(IMSIC_S.base, 4, 5)
    one.board.bus.store(APLIC_M.base + 40, 4, DELEGATED)
    two.restore(one.save())
    assert two.save() == one.save()
    assert two.harts[0].read_file(1)[2] == 1 << 5


@pytest.mark.parametrize(("arguments", "message"), [
    ({"aia": Aia.APLIC_IMSIC, "aia_guests": 8}, "8 interrupt files for guests: a hart has 0 to 7"),
    ({"aia": Aia.APLIC_IMSIC, "aia_guests": -1}, "0 to 7"),
    ({"aia": Aia.APLIC, "hosts": HOST_M}, "aia aplic: the board that the hypervisor shares has a PLIC"),
])
def test_what_cannot_be_is_said(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Machine(MIN_MEMORY, **arguments)  # type: ignore[arg-type]
