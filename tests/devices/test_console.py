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


def test_refill_is_asked_only_when_the_guest_looks_and_nothing_waits() -> None:
    console = ConsoleEnd()
    asked: list[int] = []

    def refill() -> bytes:
        asked.append(len(asked))
        return b"ab" if len(asked) == 1 else b""

    console.refill = refill
    console.type(b"x")
    assert (console.read(9), asked) == (b"x", [])
    assert (console.waiting, asked) == (1, [0])
    assert (console.read(9), console.read(9), asked) == (b"a", b"b", [0])
    assert console.read(9) == b""
    assert console.read(9) == b""
    assert asked == [0, 1]


def test_the_pieces_in_which_refill_gives_its_bytes_cannot_be_seen() -> None:
    seen = []
    for pieces in ([b"abcd"], [b"a", b"bcd"], [b"a", b"b", b"c", b"d"]):
        console = ConsoleEnd()
        console.refill = [*pieces, b""][::-1].pop
        trace = []
        while console.waiting:
            trace.append((console.waiting, console.read(3), console.save()["typed"]))
        seen.append(trace)
    assert seen[0] == seen[1] == seen[2]


def test_listeners_hear_of_refilled_bytes() -> None:
    console = ConsoleEnd()
    heard: list[int] = []
    console.subscribe(lambda: heard.append(console.waiting))
    console.refill = [b"", b"x"].pop
    assert console.waiting == 1
    assert heard == [1]
    assert console.read(1) == b"x"
    assert heard == [1, 0]
