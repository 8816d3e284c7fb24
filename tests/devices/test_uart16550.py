"""The 16550A, register by register."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hartvisor.core.devices import uart16550 as u
from hartvisor.core.devices.console import ConsoleEnd
from hartvisor.core.devices.device import DeviceFault
from hartvisor.core.devices.uart16550 import Uart16550

from .lines import Line


class Port:
    """A UART with its terminal and its interrupt line."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.console = ConsoleEnd(self.written.extend)
        self.line = Line()
        self.uart = Uart16550(self.console, self.line)

    def load(self, offset: int) -> int:
        return self.uart.load(offset, 1)

    def store(self, offset: int, value: int) -> None:
        self.uart.store(offset, 1, value)


@pytest.fixture
def port() -> Port:
    return Port()


def test_registers_after_reset(port: Port) -> None:
    assert [port.load(offset) for offset in range(8)] == [0, 0, u.IIR_NONE, 0, u.MCR_OUT2, 0x60, 0xB0, 0]
    assert not port.line.level


def test_a_transmitted_byte_is_gone_at_once(port: Port) -> None:
    for byte in b"hi":
        port.store(u.THR, byte)
        assert port.load(u.LSR) == u.LSR_THRE | u.LSR_TEMT
    assert port.written == b"hi"


def test_typed_bytes_are_received_in_order_and_an_empty_rbr_reads_zero(port: Port) -> None:
    port.console.type(b"ok")
    assert port.load(u.LSR) & u.LSR_DR
    assert [port.load(u.RBR) for _ in range(3)] == [*b"ok", 0]
    assert not port.load(u.LSR) & u.LSR_DR


def test_the_divisor_latch_hides_the_first_two_registers_while_dlab_is_set(port: Port) -> None:
    port.store(u.IER, 0)
    port.store(u.LCR, u.LCR_DLAB | 3)
    port.store(u.DLL, 0x34)
    port.store(u.DLM, 0x12)
    assert (port.load(u.DLL), port.load(u.DLM)) == (0x34, 0x12)
    port.store(u.LCR, 3)
    assert (port.load(u.RBR), port.load(u.IER)) == (0, 0)
    assert port.written == b""
    port.store(u.LCR, u.LCR_DLAB)
    assert (port.load(u.DLL), port.load(u.DLM)) == (0x34, 0x12)


def test_scratch_register_keeps_a_byte_and_lsr_and_msr_ignore_stores(port: Port) -> None:
    port.store(u.SCR, 0xA5)
    port.store(u.LSR, 0xFF)
    port.store(u.MSR, 0xFF)
    assert (port.load(u.SCR), port.load(u.LSR), port.load(u.MSR)) == (0xA5, 0x60, 0xB0)


def test_reserved_bits_of_ier_and_mcr_read_zero(port: Port) -> None:
    port.store(u.MCR, 0xFF)
    port.store(u.IER, 0xFF)
    assert (port.load(u.IER), port.load(u.MCR)) == (0x0F, 0x1F)


@pytest.mark.parametrize("size", [2, 4, 8])
def test_wide_accesses_reach_one_register(port: Port, size: int) -> None:
    port.uart.store(0, size, 0x4241)
    assert port.written == b"A"
    assert port.uart.load(4, size) == u.MCR_OUT2


@pytest.mark.parametrize("offset", [8, 0x10, 0xFF])
def test_there_is_nothing_behind_the_eight_registers(port: Port, offset: int) -> None:
    with pytest.raises(DeviceFault):
        port.uart.load(offset, 1)
    with pytest.raises(DeviceFault):
        port.uart.store(offset, 1, 0)


# --- FIFOs


def enable_fifos(port: Port, trigger: int = 0) -> None:
    port.store(u.FCR, u.FCR_ENABLE | trigger << 6)


def test_iir_shows_whether_the_fifos_are_on(port: Port) -> None:
    enable_fifos(port)
    assert port.load(u.IIR) == u.IIR_FIFOS_ON | u.IIR_NONE
    port.store(u.FCR, 0)
    assert port.load(u.IIR) == u.IIR_NONE


def test_bits_of_fcr_are_ignored_unless_fifos_are_enabled_with_them(port: Port) -> None:
    port.store(u.FCR, 0xC0)
    assert port.load(u.IIR) == u.IIR_NONE


@pytest.mark.parametrize(("trigger", "level"), [*enumerate(u.TRIGGER_LEVELS)])
def test_below_the_trigger_level_the_timeout_announces_data(port: Port, trigger: int, level: int) -> None:
    enable_fifos(port, trigger)
    port.store(u.IER, u.IER_RDA)
    for count in range(1, 17):
        port.console.type(b"x")
        expected = u.IIR_RDA if count >= level else u.IIR_TIMEOUT
        assert port.load(u.IIR) == u.IIR_FIFOS_ON | expected
        assert port.line.level
    for _ in range(16):
        port.load(u.RBR)
    assert not port.line.level


def test_typed_bytes_survive_a_reset_of_the_receive_fifo(port: Port) -> None:
    enable_fifos(port)
    port.console.type(b"x" * 20)
    port.store(u.FCR, u.FCR_ENABLE | u.FCR_RESET_RX | u.FCR_RESET_TX)
    assert bytes(port.load(u.RBR) for _ in range(20)) == b"x" * 20
    assert not port.load(u.LSR) & u.LSR_OE


# --- interrupts


def test_no_interrupt_without_its_enable_bit(port: Port) -> None:
    port.console.type(b"x")
    port.store(u.THR, 1)
    assert port.load(u.IIR) == u.IIR_NONE
    assert port.line.edges == []


def test_received_data_interrupts_until_it_is_read(port: Port) -> None:
    port.store(u.IER, u.IER_RDA)
    port.console.type(b"ab")
    assert (port.load(u.IIR), port.line.level) == (u.IIR_RDA, True)
    port.load(u.RBR)
    assert (port.load(u.IIR), port.line.level) == (u.IIR_RDA, True)
    port.load(u.RBR)
    assert (port.load(u.IIR), port.line.level) == (u.IIR_NONE, False)


def test_enabling_the_thre_interrupt_announces_the_empty_transmitter(port: Port) -> None:
    port.store(u.IER, u.IER_THRE)
    assert port.line.level


def test_reading_iir_takes_the_thre_interrupt_back_and_transmitting_renews_it(port: Port) -> None:
    port.store(u.IER, u.IER_THRE)
    assert port.load(u.IIR) == u.IIR_THRE
    assert (port.load(u.IIR), port.line.level) == (u.IIR_NONE, False)
    port.store(u.THR, ord("x"))
    assert (port.line.level, port.load(u.IIR)) == (True, u.IIR_THRE)


def test_reading_iir_leaves_the_thre_interrupt_when_it_reports_a_more_urgent_one(port: Port) -> None:
    port.store(u.IER, u.IER_THRE | u.IER_RDA)
    port.console.type(b"x")
    assert port.load(u.IIR) == u.IIR_RDA
    port.load(u.RBR)
    assert port.load(u.IIR) == u.IIR_THRE


def test_disabling_the_thre_interrupt_lowers_the_line(port: Port) -> None:
    port.store(u.IER, u.IER_THRE)
    port.store(u.IER, 0)
    assert not port.line.level


def test_interrupts_are_reported_most_urgent_first(port: Port) -> None:
    enable_fifos(port)
    port.store(u.MCR, u.MCR_LOOP)
    for byte in range(17):
        port.store(u.THR, byte)
    port.store(u.IER, 0x0F)
    seen = [port.load(u.IIR) & 0x0F]
    port.load(u.LSR)
    seen.append(port.load(u.IIR) & 0x0F)
    for _ in range(16):
        port.load(u.RBR)
    seen.extend(port.load(u.IIR) & 0x0F for _ in range(2))
    port.load(u.MSR)
    seen.append(port.load(u.IIR) & 0x0F)
    assert seen == [u.IIR_LINE, u.IIR_RDA, u.IIR_THRE, u.IIR_MODEM, u.IIR_NONE]
    assert not port.line.level


# --- loopback and modem lines


def test_loopback_receives_what_is_transmitted_and_sends_nothing(port: Port) -> None:
    port.store(u.MCR, u.MCR_LOOP)
    port.store(u.THR, 0x5A)
    assert port.load(u.LSR) & u.LSR_DR
    assert port.load(u.RBR) == 0x5A
    assert port.written == b""


def test_loopback_disconnects_the_terminal(port: Port) -> None:
    port.console.type(b"x")
    port.store(u.MCR, u.MCR_LOOP)
    assert not port.load(u.LSR) & u.LSR_DR
    assert port.load(u.RBR) == 0
    port.store(u.MCR, 0)
    assert port.load(u.RBR) == ord("x")


def test_overrun_without_fifos_keeps_the_newest_byte(port: Port) -> None:
    port.store(u.MCR, u.MCR_LOOP)
    port.store(u.THR, 1)
    port.store(u.THR, 2)
    assert port.load(u.LSR) & u.LSR_OE
    assert not port.load(u.LSR) & u.LSR_OE  # reading cleared it
    assert port.load(u.RBR) == 2


def test_overrun_with_fifos_loses_the_newest_byte(port: Port) -> None:
    enable_fifos(port)
    port.store(u.MCR, u.MCR_LOOP)
    for byte in range(1, 18):
        port.store(u.THR, byte)
    assert port.load(u.LSR) & u.LSR_OE
    assert [port.load(u.RBR) for _ in range(17)] == [*range(1, 17), 0]


def test_switching_the_fifos_empties_them(port: Port) -> None:
    enable_fifos(port)
    port.store(u.MCR, u.MCR_LOOP)
    port.store(u.THR, 1)
    port.store(u.FCR, 0)
    assert not port.load(u.LSR) & u.LSR_DR


@pytest.mark.parametrize(("output", "expected"), u.LOOPED_LINES)
def test_loopback_wires_each_modem_output_to_its_input(port: Port, output: int, expected: int) -> None:
    port.store(u.MCR, u.MCR_LOOP | output)
    assert port.load(u.MSR) & 0xF0 == expected


def test_a_modem_line_that_changes_sets_its_delta_until_msr_is_read(port: Port) -> None:
    port.store(u.MCR, u.MCR_LOOP)
    assert port.load(u.MSR) & 0x0F == u.MSR_DCTS | u.MSR_DDSR | u.MSR_DDCD
    port.store(u.IER, u.IER_MODEM)
    port.store(u.MCR, u.MCR_LOOP | u.MCR_RTS)
    assert (port.line.level, port.load(u.IIR)) == (True, u.IIR_MODEM)
    assert port.load(u.MSR) == u.MSR_CTS | u.MSR_DCTS
    assert (port.line.level, port.load(u.MSR)) == (False, u.MSR_CTS)


def test_the_ring_indicator_counts_only_its_trailing_edge(port: Port) -> None:
    port.store(u.MCR, u.MCR_LOOP)
    port.load(u.MSR)
    port.store(u.MCR, u.MCR_LOOP | u.MCR_OUT1)
    assert port.load(u.MSR) == u.MSR_RI
    port.store(u.MCR, u.MCR_LOOP)
    assert port.load(u.MSR) == u.MSR_TERI


# --- properties

ACCESSES = st.lists(st.tuples(st.booleans(), st.integers(0, 7), st.integers(0, 255)), max_size=60)


@given(ACCESSES, st.binary(max_size=20))
def test_the_line_is_high_exactly_while_iir_would_report_a_cause(
    accesses: list[tuple[bool, int, int]], typed: bytes
) -> None:
    port = Port()
    port.console.type(typed)
    for is_store, offset, value in accesses:
        level = port.line.level
        if is_store:
            port.store(offset, value)
        elif offset == u.IIR:
            assert (port.load(u.IIR) & 1 == 0) == level
        else:
            assert 0 <= port.load(offset) <= 0xFF
    level = port.line.level
    assert (port.load(u.IIR) & 1 == 0) == level


@given(ACCESSES, ACCESSES, st.binary(max_size=20))
def test_a_restored_uart_goes_on_like_the_saved_one(
    before: list[tuple[bool, int, int]], after: list[tuple[bool, int, int]], typed: bytes
) -> None:
    port, twin = Port(), Port()
    port.console.type(typed)
    play(port, before)
    twin.console.restore(port.console.save())
    twin.uart.restore(port.uart.save())
    assert twin.line.level == port.line.level
    assert twin.uart.save() == port.uart.save()
    port.written.clear()
    assert play(twin, after) == play(port, after)
    assert (twin.written, twin.line.level) == (port.written, port.line.level)


def play(port: Port, accesses: list[tuple[bool, int, int]]) -> list[int]:
    """Perform the accesses; returns what the loads gave."""
    loaded = []
    for is_store, offset, value in accesses:
        if is_store:
            port.store(offset, value)
        else:
            loaded.append(port.load(offset))
    return loaded
