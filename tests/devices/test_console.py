"""The terminal at the far end of the serial line."""

from __future__ import annotations

from hartvisor.core.devices.console import ConsoleEnd


def test_typed_bytes_are_read_once_and_in_order() -> None:
    console = ConsoleEnd()
    console.type(b"ab")
    console.type(b"c")
    assert console.waiting == 3
    assert console.read(2) == b"ab"
    assert console.read(2) == b"c"
    assert console.read(2) == b""


def test_output_is_called_with_what_the_guest_writes() -> None:
    written: list[bytes] = []
    ConsoleEnd(written.append).write(b"hello")
    assert written == [b"hello"]


def test_a_console_without_output_forgets_what_is_written() -> None:
    ConsoleEnd().write(b"hello")


def test_listeners_hear_of_typing_and_reading_but_not_of_nothing() -> None:
    console = ConsoleEnd()
    heard: list[int] = []
    console.subscribe(lambda: heard.append(console.waiting))
    console.type(b"")
    console.type(b"ab")
    console.read(1)
    console.read(9)
    console.read(9)
    assert heard == [2, 1, 0]


def test_saved_bytes_wait_again_after_restore() -> None:
    console, twin = ConsoleEnd(), ConsoleEnd()
    console.type(b"abc")
    console.read(1)
    twin.restore(console.save())
    assert twin.read(9) == b"bc"
