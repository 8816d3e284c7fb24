"""The device tree: parsed back, and compared with the one that QEMU makes for its `virt` board."""

from __future__ import annotations

import subprocess
from pathlib import Path

import fdt
import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.isa.extensions import parse_isa
from hartvisor.core.machine.device_tree import build_device_tree
from hartvisor.core.machine.memory_map import FIRMWARE_BOARD
from tests.oracles import require_oracle

MEMORY = 128 << 20
FULL_BOARD = FIRMWARE_BOARD
DIFFERENT = {
    "model": "who made the board",
    "riscv,isa": "what the hart can do",
    "riscv,isa-base": "newer than QEMU 7",
    "riscv,isa-extensions": "newer than QEMU 7; what the hart can do",
    "mmu-type": "what the hart can do",
    "riscv,cbom-block-size": "newer than QEMU 7",
    "riscv,cbop-block-size": "newer than QEMU 7",
    "riscv,cboz-block-size": "newer than QEMU 7",
    "riscv,event-to-mhpmcounters": "what the hart's counters can count: no events of caches",
    "rng-seed": "a machine that starts alike runs alike",
    "riscv,ndev": "QEMU 7 counts source 0, as we do; QEMU 10 does not",
}
"""Properties that may differ from QEMU's, or be absent on one side, and why."""

ABSENT = {
    "/flash@20000000": "no flash memory: firmware is a file, and lies in RAM",
    "/soc/pci@30000000": "no PCI: all devices are virtio-mmio",
    "/platform-bus@4000000": "no devices of a host's to pass through",
    "/aliases": "newer than QEMU 7; the only serial port is the first",
}
"""Nodes of QEMU's that ours does not have, and why."""

PROGRAMS = ("qemu-system-riscv64", "qemu-system-riscv64-10")

Properties = dict[str, list[int | str]]


def tree(blob: bytes) -> dict[str, Properties]:
    """Every node's properties by path, phandles replaced by the paths they refer to."""
    parsed = fdt.parse_dtb(blob)
    nodes: dict[str, Properties] = {}

    def visit(node: fdt.Node, path: str) -> None:
        nodes[path or "/"] = {prop.name: list(getattr(prop, "data", [])) for prop in node.props}
        for child in node.nodes:
            visit(child, f"{path}/{child.name}")

    visit(parsed.root, "")
    return name_phandles(nodes)


def name_phandles(nodes: dict[str, Properties]) -> dict[str, Properties]:
    """Replace the numbers in reference properties by paths, since the numbers themselves are free."""
    paths = {number: path for path, properties in nodes.items() for number in properties.pop("phandle", [])}
    for properties in nodes.values():
        for name, cells in properties.items():
            if name in ("interrupt-parent", "regmap", "cpu", "msi-parent", "riscv,children"):
                properties[name] = [paths[cell] for cell in cells]
            elif name in ("riscv,delegation", "riscv,delegate"):
                properties[name] = [paths[cells[0]], *cells[1:]]
            elif name == "interrupts-extended":
                properties[name] = [paths[cell] if at % 2 == 0 else str(cell) for at, cell in enumerate(cells)]
    return nodes


def qemu_tree(folder: Path, n_harts: int, name: str) -> dict[str, Properties]:
    """The tree of QEMU's board."""
    dump = folder / "virt.dtb"
    program = require_oracle(name)
    board = f"virt,dumpdtb={dump}"
    command = [program, "-M", board, "-m", f"{MEMORY}B", "-smp", str(n_harts), "-display", "none"]
    subprocess.run(command, check=True, capture_output=True)
    return tree(dump.read_bytes())


@pytest.mark.parametrize("n_harts", [1, 4])
@pytest.mark.parametrize("program", PROGRAMS)
def test_the_tree_is_qemus_but_for_what_is_listed(tmp_path: Path, program: str, n_harts: int) -> None:
    theirs = qemu_tree(tmp_path, n_harts, program)
    ours = tree(build_device_tree(memory_size=MEMORY, n_harts=n_harts, board=FULL_BOARD))
    assert ours.keys() - theirs.keys() == set()
    assert theirs.keys() - ours.keys() <= ABSENT.keys()
    for path, properties in ours.items():
        names = (properties.keys() | theirs[path].keys()) - DIFFERENT.keys()
        assert {name: (path, properties.get(name)) for name in names} == {
            name: (path, theirs[path].get(name)) for name in names}


def test_the_list_of_differences_has_nothing_that_is_alike(tmp_path: Path) -> None:
    ours = tree(build_device_tree(memory_size=MEMORY, board=FULL_BOARD))
    trees = [qemu_tree(tmp_path, 1, program) for program in PROGRAMS]
    assert set().union(*trees) - ours.keys() == ABSENT.keys()
    assert DIFFERENT.keys() == {
        name for theirs in trees for path in ours for name in ours[path].keys() | theirs[path].keys()
        if ours[path].get(name) != theirs[path].get(name)}


def test_the_same_arguments_give_the_same_bytes() -> None:
    first, second = (build_device_tree(memory_size=MEMORY, n_harts=2, bootargs="quiet") for _ in range(2))
    assert first == second


def test_arguments_show_in_the_tree() -> None:
    nodes = tree(
        build_device_tree(
            memory_size=5 << 30, n_harts=3, bootargs="console=hvc0 x", isa=parse_isa("rv64imc"), timebase_frequency=1234
        )
    )
    assert nodes["/chosen"]["bootargs"] == ["console=hvc0 x"]
    assert nodes["/memory@80000000"]["reg"] == [0, 0x8000_0000, 1, 0x4000_0000]
    assert nodes["/cpus"]["timebase-frequency"] == [1234]
    assert nodes["/cpus/cpu@2"]["riscv,isa"] == ["rv64imc_zicsr_zmmul_zca"]
    assert nodes["/cpus/cpu@2"]["riscv,isa-base"] == ["rv64i"]
    assert nodes["/cpus/cpu@2"]["riscv,isa-extensions"] == ["i", "m", "c", "zicsr", "zmmul", "zca"]
    assert "/cpus/cpu@3" not in nodes


def test_without_arguments_there_is_no_bootargs_property() -> None:
    assert "bootargs" not in tree(build_device_tree(memory_size=MEMORY))["/chosen"]


def test_stdout_path_leads_to_the_serial_port() -> None:
    nodes = tree(build_device_tree(memory_size=MEMORY))
    (path,) = nodes["/chosen"]["stdout-path"]
    assert nodes[str(path)]["compatible"] == ["ns16550a"]


def test_a_vms_board_has_no_clint_for_its_guest_to_touch() -> None:
    nodes = tree(build_device_tree(memory_size=MEMORY))
    assert {path for path in nodes if path.startswith("/soc/")} == {
        "/soc/test@100000",
        "/soc/plic@c000000",
        "/soc/serial@10000000",
        *(f"/soc/virtio_mmio@{0x1000_1000 + 0x1000 * slot:x}" for slot in range(8)),
    }


def test_the_blob_has_the_layout_that_the_specification_wants() -> None:
    blob = build_device_tree(memory_size=MEMORY, bootargs="x")
    words = [int.from_bytes(blob[at : at + 4], "big") for at in range(0, 40, 4)]
    magic, total, struct_at, strings_at, reserved_at, version, compatible, boot_hart, strings_size, struct_size = words
    assert (magic, version, compatible, boot_hart) == (0xD00D_FEED, 17, 16, 0)
    assert total == len(blob)
    assert reserved_at % 8 == 0
    assert struct_at % 4 == 0
    assert strings_at == struct_at + struct_size
    assert total == strings_at + strings_size


@pytest.mark.parametrize("bootargs", ["naïve", "a\0b"])
def test_kernel_arguments_that_are_not_ascii_text_are_refused(bootargs: str) -> None:
    with pytest.raises(ConfigError, match="only ASCII text"):
        build_device_tree(memory_size=MEMORY, bootargs=bootargs)


def test_kernel_arguments_beyond_all_measure_are_refused() -> None:
    with pytest.raises(ConfigError, match="kernel arguments of 3145728 characters: the device tree has room for"):
        build_device_tree(memory_size=MEMORY, bootargs="x" * (3 << 20))
