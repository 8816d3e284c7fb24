"""The device tree that a guest gets in a1: what it may find where, in the words of QEMU's `virt` board.

Source: Devicetree Specification 0.4, the Linux bindings of each device, and the tree that QEMU dumps (`-M
virt,dumpdtb=`), with which the tests compare this one. The same arguments give the same bytes.
"""

from collections.abc import Callable, Sequence

import fdt

from ..devices.aplic_registers import N_SOURCES as APLIC_SOURCES
from ..devices.imsic import LAST_IDENTITY
from ..devices.plic import N_SOURCES
from ..devices.test_finisher import PASS_WORD, RESET_WORD
from ..errors import ConfigError
from ..isa.causes import MEI, MSI, MTI, SEI
from ..isa.csrs_counters import EVENT_CYCLES, EVENT_INSTRUCTIONS, HPM_END, HPM_FIRST
from ..isa.extensions import DEFAULT_ISA, format_isa, names_in_order
from ..isa.paging import mmu_type
from .memory_map import (
    ACLINT,
    APLIC_M,
    APLIC_S,
    DEVICE_TREE_SPACE,
    FW_CFG,
    IMSIC_M,
    IMSIC_S,
    PAGE_SIZE,
    PLIC,
    RTC,
    TEST_FINISHER,
    UART,
    VIRTIO,
    VM_BOARD,
    Region,
    ram,
)

DEFAULT_TIMEBASE = 10_000_000  # Hz
UART_CLOCK = 3_686_400  # Hz
LEVEL_HIGH = 4
"""What follows a source's number where the controller has to be told its mode: level-sensitive, active high."""

VERSION = 17
BLOCK_SIZE = 64
"""Bytes of a cache block (Zic64b)."""
CYCLE, INSTRET = 1 << 0, 1 << 2
"""The two counters that count one thing only, in a mask of counters."""

Value = int | str | list[int] | list[str] | bytes | None


class Phandles:
    """The numbers by which nodes refer to each other, in order of first mention. board: the regions that have one."""

    def __init__(self, board: Sequence[Region]) -> None:
        self._numbers: dict[str, int] = {}
        self.names = frozenset(region.name for region in board)

    def __call__(self, name: str) -> int:
        return self._numbers.setdefault(name, len(self._numbers) + 1)

    def hart_inputs(self, n_harts: int, *interrupts: int) -> list[int]:
        """An interrupts-extended list: the given inputs of every hart's interrupt controller."""
        return [cell for hart in range(n_harts) for irq in interrupts for cell in (self(f"intc{hart}"), irq)]


def build_device_tree(
    *,
    memory_size: int,
    n_harts: int = 1,
    bootargs: str = "",
    initrd: Region | None = None,
    isa: frozenset[str] = DEFAULT_ISA,
    timebase_frequency: int = DEFAULT_TIMEBASE,
    board: Sequence[Region] = VM_BOARD,
) -> bytes:
    """The flattened device tree (version 17).

    memory_size: bytes of RAM; bootargs: the kernel's command line; initrd: where the initial ramdisk
    lies; isa: the harts' extensions; timebase_frequency:
    Hz of `time`; board: the regions of memory_map that have a device. Raises ConfigError where bootargs are not
    ASCII or too long.
    """
    if not bootargs.isascii() or "\0" in bootargs:
        raise ConfigError(f"kernel arguments {bootargs!r}: only ASCII text can be handed over")
    phandles = Phandles(board)
    regions = sorted(board, key=lambda region: region.base)
    devices = [NODES[region.name](region, n_harts, phandles) for region in regions if region.name in NODES]
    firmwares = [fw_cfg(FW_CFG), *([pmu()] if "Zihpm" in isa else [])] if FW_CFG in board else []
    memory = ram(memory_size)
    root = node(
        "/",
        {"#address-cells": 2, "#size-cells": 2, "compatible": "riscv-virtio", "model": "riscv-virtio,hartvisor"},
        chosen(bootargs, initrd),
        cpus(n_harts, isa, timebase_frequency, phandles, block_sizes(isa) if FW_CFG in board else {}),
        node(f"memory@{memory.base:x}", {"device_type": "memory", "reg": reg(memory)}),
        syscon("poweroff", PASS_WORD, phandles),
        syscon("reboot", RESET_WORD, phandles),
        *firmwares,
        node("soc", {"#address-cells": 2, "#size-cells": 2, "compatible": "simple-bus", "ranges": None}, *devices),
    )
    tree = fdt.FDT()
    tree.root = root
    blob = bytes(tree.to_dtb(version=VERSION))
    if len(blob) > DEVICE_TREE_SPACE:
        room = DEVICE_TREE_SPACE - (len(blob) - len(bootargs))
        raise ConfigError(f"kernel arguments of {len(bootargs)} characters: the device tree has room for {room}")
    return blob


# --- nodes


def node(name: str, properties: dict[str, Value], *children: fdt.Node) -> fdt.Node:
    """A node. Property values: None (empty), a cell or cells, a string or strings, or raw bytes."""
    made = fdt.Node(name)
    for key, value in properties.items():
        made.set_property(key, value)
    for child in children:
        made.append(child)
    return made


def reg(region: Region) -> list[int]:
    """Base and size, in two cells each."""
    return [region.base >> 32, region.base & 0xFFFF_FFFF, region.size >> 32, region.size & 0xFFFF_FFFF]


def chosen(bootargs: str, initrd: Region | None) -> fdt.Node:
    """What the firmware tells the kernel. No rng-seed: a machine that starts alike must run alike."""
    arguments: dict[str, Value] = {"bootargs": bootargs.encode("ascii") + b"\0"} if bootargs else {}
    if initrd is not None:
        arguments["linux,initrd-start"] = [initrd.base >> 32, initrd.base & 0xFFFF_FFFF]
        arguments["linux,initrd-end"] = [initrd.end >> 32, initrd.end & 0xFFFF_FFFF]
    return node("chosen", {**arguments, "stdout-path": f"/soc/serial@{UART.base:x}"})


def block_sizes(isa: frozenset[str]) -> dict[str, Value]:
    """How many bytes a cache block has for each kind of operation; without that Linux uses none of the kind."""
    return {f"riscv,{name.lower()[2:]}-block-size": BLOCK_SIZE for name in ("Zicbom", "Zicbop", "Zicboz")
            if name in isa}


def cpus(n_harts: int, isa: frozenset[str], timebase_frequency: int, phandles: Phandles,
         details: dict[str, Value]) -> fdt.Node:
    """The harts, each with its own interrupt controller, and their (flat) topology. details: more of each hart."""
    harts = [
        node(
            f"cpu@{hart:x}",
            {
                "phandle": phandles(f"cpu{hart}"),
                "device_type": "cpu",
                "reg": hart,
                "status": "okay",
                "compatible": "riscv",
                "riscv,isa": format_isa(isa),
                "riscv,isa-base": "rv64i",
                "riscv,isa-extensions": names_in_order(isa),
                "mmu-type": mmu_type(isa),
                **details,
            },
            node(
                "interrupt-controller",
                {
                    "#interrupt-cells": 1,
                    "interrupt-controller": None,
                    "compatible": "riscv,cpu-intc",
                    "phandle": phandles(f"intc{hart}"),
                },
            ),
        )
        for hart in range(n_harts)
    ]
    cores = [node(f"core{hart}", {"cpu": phandles(f"cpu{hart}")}) for hart in range(n_harts)]
    topology = node("cpu-map", {}, node("cluster0", {}, *cores))
    properties: dict[str, Value] = {
        "#address-cells": 1,
        "#size-cells": 0,
        "timebase-frequency": timebase_frequency,
    }
    return node("cpus", properties, *harts, topology)


def syscon(name: str, word: int, phandles: Phandles) -> fdt.Node:
    """How a kernel without SBI powers off or reboots: store `word` into the test finisher."""
    return node(name, {"value": word, "offset": 0, "regmap": phandles("test"), "compatible": f"syscon-{name}"})


def interrupt(region: Region, phandles: Phandles) -> dict[str, Value]:
    """The properties of a device whose line goes to the PLIC, or to the APLIC's domain of S-mode."""
    assert region.irq is not None
    if APLIC_S.name in phandles.names:
        return {"interrupts": [region.irq, LEVEL_HIGH], "interrupt-parent": phandles(APLIC_S.name)}
    return {"interrupts": region.irq, "interrupt-parent": phandles("plic")}


def fw_cfg(region: Region) -> fdt.Node:
    """Files for firmware."""
    properties: dict[str, Value] = {"dma-coherent": None, "reg": reg(region), "compatible": "qemu,fw-cfg-mmio"}
    return node(f"fw-cfg@{region.base:x}", properties)


def pmu() -> fdt.Node:
    """Which of the SBI's events (by number: cycles, instructions) each counter can count; firmware selects an event by
    storing its number, where nothing says otherwise."""
    programmable = sum(1 << counter for counter in range(HPM_FIRST, HPM_END))
    counters = [EVENT_CYCLES, EVENT_CYCLES, programmable | CYCLE,
                EVENT_INSTRUCTIONS, EVENT_INSTRUCTIONS, programmable | INSTRET]
    return node("pmu", {"riscv,event-to-mhpmcounters": counters, "compatible": "riscv,pmu"})


def test_finisher(region: Region, n_harts: int, phandles: Phandles) -> fdt.Node:
    """sifive,test1 and the syscon that poweroff and reboot refer to."""
    compatible = ["sifive,test1", "sifive,test0", "syscon"]
    return node(f"test@{region.base:x}", {"phandle": phandles("test"), "reg": reg(region), "compatible": compatible})


def rtc(region: Region, n_harts: int, phandles: Phandles) -> fdt.Node:
    """The goldfish clock."""
    return node(
        f"rtc@{region.base:x}",
        {**interrupt(region, phandles), "reg": reg(region), "compatible": "google,goldfish-rtc"},
    )


def aclint(region: Region, n_harts: int, phandles: Phandles) -> fdt.Node:
    """The ACLINT, under the older name that all firmware knows."""
    return node(
        f"clint@{region.base:x}",
        {
            "interrupts-extended": phandles.hart_inputs(n_harts, MSI, MTI),
            "reg": reg(region),
            "compatible": ["sifive,clint0", "riscv,clint0"],
        },
    )


def plic(region: Region, n_harts: int, phandles: Phandles) -> fdt.Node:
    """The PLIC; its contexts are numbered in the order of interrupts-extended."""
    return node(
        f"plic@{region.base:x}",
        {
            "phandle": phandles("plic"),
            "riscv,ndev": N_SOURCES,
            "reg": reg(region),
            "interrupts-extended": phandles.hart_inputs(n_harts, MEI, SEI),
            "interrupt-controller": None,
            "compatible": ["sifive,plic-1.0.0", "riscv,plic0"],
            "#address-cells": 0,
            "#interrupt-cells": 1,
        },
    )


def aplic(region: Region, n_harts: int, phandles: Phandles) -> fdt.Node:
    """A domain of the APLIC: wires to the harts, or messages to their interrupt files; M-mode's passes all on."""
    is_root = region.name == APLIC_M.name
    files = IMSIC_M if is_root else IMSIC_S
    properties: dict[str, Value] = {
        "phandle": phandles(region.name),
        "riscv,num-sources": APLIC_SOURCES,
        "reg": reg(region),
        "interrupt-controller": None,
        "#interrupt-cells": 2,
        "#address-cells": 0,
        "compatible": ["qemu,aplic", "riscv,aplic"],
    }
    if files.name in phandles.names:
        properties["msi-parent"] = phandles(files.name)
    else:
        properties["interrupts-extended"] = phandles.hart_inputs(n_harts, MEI if is_root else SEI)
    if is_root:
        child = phandles(APLIC_S.name)
        properties["riscv,children"] = child
        # The binding's name, and the one that firmware of the time before it knows.
        properties["riscv,delegation"] = properties["riscv,delegate"] = [child, 1, APLIC_SOURCES]
    return node(f"interrupt-controller@{region.base:x}", properties)


def imsic(region: Region, n_harts: int, phandles: Phandles) -> fdt.Node:
    """The interrupt files of M-mode, or of S-mode and the guests."""
    is_machine = region.name == IMSIC_M.name
    guest_bits = (region.size // PAGE_SIZE // n_harts).bit_length() - 1
    properties: dict[str, Value] = {
        "phandle": phandles(region.name),
        "riscv,num-ids": LAST_IDENTITY,
        "reg": reg(region),
        "interrupts-extended": phandles.hart_inputs(n_harts, MEI if is_machine else SEI),
        "msi-controller": None,
        "interrupt-controller": None,
        "#interrupt-cells": 0,
        "compatible": ["qemu,imsics", "riscv,imsics"],
    }
    if guest_bits:
        properties["riscv,guest-index-bits"] = guest_bits
    return node(f"interrupt-controller@{region.base:x}", properties)


def uart(region: Region, n_harts: int, phandles: Phandles) -> fdt.Node:
    """The serial port."""
    return node(
        f"serial@{region.base:x}",
        {
            **interrupt(region, phandles),
            "clock-frequency": UART_CLOCK,
            "reg": reg(region),
            "compatible": "ns16550a",
        },
    )


def virtio(region: Region, n_harts: int, phandles: Phandles) -> fdt.Node:
    """A virtio-mmio slot; whether a device is in it, the slot itself says."""
    return node(
        f"virtio_mmio@{region.base:x}",
        {**interrupt(region, phandles), "reg": reg(region), "compatible": "virtio,mmio"},
    )


#: How the device of each region, by name, is described.
NODES: dict[str, Callable[[Region, int, Phandles], fdt.Node]] = {
    TEST_FINISHER.name: test_finisher,
    RTC.name: rtc,
    ACLINT.name: aclint,
    PLIC.name: plic,
    APLIC_M.name: aplic,
    APLIC_S.name: aplic,
    IMSIC_M.name: imsic,
    IMSIC_S.name: imsic,
    UART.name: uart,
    **{region.name: virtio for region in VIRTIO},
}
