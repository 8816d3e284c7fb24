"""Packets, out of whatever bytes arrive."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hartvisor.core.vmm.gdb.packets import PACKET_SIZE, Decoder, Kind, checksum, encode, escape, unescape


def decoded(*parts: bytes) -> list[tuple[Kind, bytes]]:
    """What a decoder makes of the bytes, as they come in parts."""
    decoder = Decoder()
    return [found for part in parts for found in decoder.feed(part)]


def test_the_checksum_is_the_sum_of_the_bytes() -> None:
    assert encode(b"OK") == b"$OK#9a"  # the GDB manual's own example
    assert checksum(b"") == b"00"


@given(st.binary(max_size=200))
def test_binary_data_survives(data: bytes) -> None:
    packet = encode(escape(data))
    assert not set(escape(data)) & set(b"$#*")
    ((kind, content),) = decoded(packet)
    assert (kind, unescape(content)) == (Kind.PACKET, data)


@given(st.lists(st.binary(max_size=20).map(escape), max_size=5), st.data())
def test_however_the_stream_is_cut(contents: list[bytes], data: st.DataObject) -> None:
    stream = b"+".join(encode(content) for content in contents) + b"\x03"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    parts = [stream[first:last] for first, last in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert decoded(*parts) == [*((Kind.PACKET, content) for content in contents), (Kind.INTERRUPT, b"")]


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_garbage_is_survived(parts: list[bytes]) -> None:
    """Whatever came before, a packet after two good ones is heard."""
    assert decoded(*parts, b"#00", encode(b"g"), encode(b"g"))[-1] == (Kind.PACKET, b"g")


def test_a_wrong_checksum_is_noticed() -> None:
    assert decoded(b"$g#00", b"$g#zz", encode(b"?")) == [
        (Kind.BROKEN, b""), (Kind.BROKEN, b""), (Kind.PACKET, b"?")]


def test_a_packet_that_begins_in_another_is_heard() -> None:
    assert decoded(b"$m80000", b"$?#3f") == [(Kind.BROKEN, b""), (Kind.PACKET, b"?")]


def test_a_packet_without_end_does_not_fill_memory() -> None:
    assert decoded(b"$" + b"a" * 2 * PACKET_SIZE, encode(b"?")) == [(Kind.BROKEN, b""), (Kind.PACKET, b"?")]


def test_a_wish_to_resend() -> None:
    assert decoded(b"-+-") == [(Kind.RESEND, b"")] * 2
