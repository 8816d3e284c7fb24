"""Panel 8: interrupts, rings, the serial port, disks and networks, at every size, in both themes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from textual.content import Content

from hartvisor.core.vmm.views.interrupts import InterruptsView, LineRow, SourceRow, VcpuRow
from hartvisor.core.vmm.views.rings import ChainView, Part, QueueView, SlotRow, Used, VirtioView
from hartvisor.core.vmm.views.traffic import (
    CardRow,
    DiskRow,
    DisksView,
    FrameLine,
    NetworkView,
    RequestLine,
)
from hartvisor.core.vmm.views.uart import RegisterRow, TrafficLine, UartView
from hartvisor.tui.app.panels.device_lines import (
    disk_lines,
    find,
    interrupt_lines,
    network_lines,
    printable,
    uart_lines,
    virtio_lines,
)
from hartvisor.tui.app.panels.devices import DISKS, INTERRUPTS, NETWORK, UART, VIRTIO
from hartvisor.tui.app.widgets.lines import LinesView

from .support import DARK, LIGHT, SIZES, WIDE, Desk, glass

WIDTHS = (58, 76, 190)
HYPERVISED = ("deprivileged", "shadow", "two-stage")


def checked(lines: Sequence[Content], width: int, *words: str) -> list[str]:
    """The text of lines that fit, and have these words in them."""
    texts = [line.plain.rstrip() for line in lines]
    assert all(line.cell_length <= width for line in lines), [text for text in texts if len(text) > width]
    for word in words:
        assert any(word in text for text in texts), (word, texts)
    return texts


@pytest.mark.parametrize("width", WIDTHS)
def test_the_interrupt_matrix(width: int) -> None:
    lines = (LineRow(1, "SSI", "Supervisor software interrupt", False, True, False, 0),
             LineRow(9, "SEI", "Supervisor external interrupt", True, True, True, 1234))
    vcpus = (VcpuRow(0, "S", True, lines, "SEI", 0, True, 5000, False),
             VcpuRow(1, "U", False, lines[:1], None, 3, False, None, True))
    view = InterruptsView("tern", (
        SourceRow(10, "UART", True, True, False, 1, (True, False)),
        SourceRow(1, "virtio 0 block", False, False, True, 7, (False, True))), vcpus)
    texts = checked(interrupt_lines(view, width), width, "vCPU 0", "vCPU 1", "takes SEI next", "lets interrupts in",
                    "timer in 5,000 steps", "timer not set", "asleep", "hvip", "1,234")
    uart = next(text for text in texts if "UART" in text)
    assert uart.split()[:6] == ["10", "UART", "L", "P", "·", "1"] and uart.split()[6:] == ["E", "·"]
    disk = next(text for text in texts if "block" in text)
    assert disk.split()[4:] == ["·", "·", "C", "7", "·", "E"]


@pytest.mark.parametrize("width", WIDTHS)
def test_rings_are_drawn(width: int) -> None:
    chain = ChainView(5, (Part(0x8040_0000, 16, False), Part(0x8041_0000, 4096, True), Part(0x8040_0010, 1, True)),
                      about="read 8 sectors from 2,048")
    spoilt = ChainView(9, (Part(0x10, 16, False),), is_indirect=True, fault="a buffer of 16 bytes at 0x10")
    queue = QueueView(0, "requests", 16, 256, True, 0x8040_0000, 0x8040_1000, 0x8040_2000, True, 12, 9, 8, 3, 1,
                      (chain, spoilt), (Used(4, 4097), Used(3, 1)), False)
    slot = SlotRow(0, "block", ("ACKNOWLEDGE", "DRIVER", "FEATURES_OK", "DRIVER_OK", "NEEDS_RESET"),
                   ("SEG_MAX", "FLUSH", "VERSION_1"), ("FLUSH", "VERSION_1"), ("used buffers",), "it loops",
                   (("sectors", "8,192"),), 1, 1)
    other = SlotRow(3, "rng", (), ("VERSION_1",), (), (), "", (), 0, 1)
    lines, places = virtio_lines(VirtioView("tern", (slot, other), 0, (queue,)), width)
    texts = checked(lines, width, "▸ 0  block", "NEEDS_RESET", "used buffers", "no driver", "(SEG_MAX)",
                    "needs a reset: it loops", "no interrupt wanted", "read 8 sectors from 2,048",
                    "0x80400000+16R → 0x80410000+4,096W", "9 indirect", "a buffer of 16 bytes",
                    "avail idx 12  taken 9  used idx 8", "█ 3 wait  ▒ 1 in flight", "and 1 more", "4: 4,097 bytes")
    assert any("········▒███····" in text for text in texts), "entry 8 is in flight, 9 to 11 wait"
    assert len(places) == len(lines) and places[1:3] == [0, 1]
    empty, _ = virtio_lines(VirtioView("tern", (), 0, ()), width)
    assert "no virtio slot" in empty[0].plain


@pytest.mark.parametrize("width", WIDTHS)
def test_registers_and_bytes_of_the_serial_port(width: int) -> None:
    view = UartView("tern", (RegisterRow("IER", 5, "received data, line status"), RegisterRow("LSR", 0x60, "empty"),
                             RegisterRow("DLL", 12, "divisor 12: 19,200 baud")), 2,
                    (TrafficLine(1000, 1010, True, b"hello\n"), TrafficLine(2000, 2000, False, b"\x1b[A\xff")), False)
    texts = checked(uart_lines(view, width), width, "2 typed bytes wait", "IER  05", "19,200 baud", "and older ones")
    typed, written = (next(at for at, text in enumerate(texts) if sign in text) for sign in ("←", "→"))
    assert typed < written, "the newest first"
    assert "\\x1b[A\\xff" in texts[typed] and "hello\\n" in texts[written] and "1,000" in texts[written]


def test_bytes_are_printed_in_one_line() -> None:
    assert printable(b"a\tb\r\n\x00\xc3\xa9\xff") == "a\\tb\\r\\n\\x00é\\xff"


@pytest.mark.parametrize("width", WIDTHS)
def test_disks_and_cards(width: int) -> None:
    log = (RequestLine(100, "read 8 sectors from 0", "ok"), RequestLine(200, "write 1 sector to 5", "I/O error"))
    disks = DisksView("tern", (DiskRow(0, "vda", 8192, False, 3, 1, 1, 4096, 512, 1, log),
                               DiskRow(1, "vdb", 16, True, None, 0, 0, 0, 0, 0, ())))
    texts = checked(disk_lines(disks, width), width, "vda", "8,192 sectors", "3 pages in memory", "1 reads, 4.0 KiB",
                    "1 failed", "I/O error", "read-only", "no request yet")
    assert [text.split()[0] for text in texts if "sector" in text and text.startswith(" ")] == ["200", "100"]
    frames = (FrameLine(100, True, False, 42, "ARP who has 10.0.2.2? tell 10.0.2.15"),
              FrameLine(300, False, True, 98, "ICMP echo reply"))
    cards = NetworkView("tern", (CardRow(1, "52:54:00:12:34:56", False, 2, 1, 0, 42, 0, 1, frames),))
    checked(network_lines(cards, width), width, "net1", "link down", "1 sent, 42 B", "1 lost", "2 wait", "ARP who has",
            "→", "←", "lost")
    assert "--drive" in disk_lines(DisksView("tern", ()), width)[0].plain
    assert "--netdev" in network_lines(NetworkView("tern", ()), width)[0].plain


def test_find_goes_around() -> None:
    lines = [Content("one"), Content("two"), Content("Three"), Content("two again")]
    assert [find(lines, "two", at) for at in (0, 1, 3)] == [1, 3, 1]
    assert find(lines, "THREE", 2) == 2 and find(lines, "four", 0) is None


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_every_tab_comes_up(size: tuple[int, int], theme: str) -> None:
    async def test(desk: Desk) -> None:
        await desk.press("g")
        await desk.type("#1M")
        await desk.press("8")
        for tab, words in ((INTERRUPTS, ("UART", "sip", "timer")), (VIRTIO, ("no virtio slot",)),
                           (UART, ("LSR", "teaching kernel")), (DISKS, ("no disks",)), (NETWORK, ("no network",))):
            assert desk.panel.tab == tab
            for word in words:
                assert word in desk.panel.query_one(LinesView).plain, (tab, word)
            assert desk.panel.query_one(LinesView).lines[0].plain[:20] in "\n".join(desk.screen_text())
            await desk.press("right_square_bracket")

    glass(test, size=size, theme=theme)


@pytest.mark.parametrize("technique", ["bare", *HYPERVISED])
def test_the_log_is_as_of_the_present_step(technique: str) -> None:
    async def test(desk: Desk) -> None:
        await desk.press("8", "right_square_bracket", "right_square_bracket", "g")
        await desk.type("#3M")
        lines = desk.panel.query_one(LinesView)
        there = lines.plain
        assert "teaching kernel" in there
        await desk.press("g")
        await desk.type("#100")
        assert "nothing yet" in lines.plain
        await desk.press("g")
        await desk.type("#3M")
        assert lines.plain == there

    glass(test, technique=technique)


def test_a_slot_is_chosen_by_key_and_by_click(tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    disk.write_bytes(bytes(1 << 20))

    async def test(desk: Desk) -> None:
        await desk.press("8", "right_square_bracket")
        lines = desk.panel.query_one(LinesView)
        assert "▸ 0  block" in lines.plain and "queue 0 requests" in lines.plain
        await desk.press("down", "down", "enter")
        assert "▸ 1  net" in lines.plain and "queue 1 transmit" in lines.plain
        await desk.pilot.click(lines, offset=(4, 1))
        await desk.settle()
        assert "▸ 0  block" in lines.plain
        await desk.press("slash")
        await desk.type("features")
        assert "features" in lines.lines[lines.cursor].plain
        await desk.press("slash")
        await desk.type("nowhere")
        assert any("nowhere is not here" in notice for notice in desk.notices())

    glass(test, size=WIDE, drives=(f"{disk},ro",), netdevs=("echo",))
