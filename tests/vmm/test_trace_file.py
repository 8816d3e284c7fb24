"""The trace file: a cut one is read up to the cut, a damaged or foreign one is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hartvisor.core.errors import TraceError
from hartvisor.core.machine.symbols import symbols_of
from hartvisor.core.vmm.trace import recorder
from hartvisor.core.vmm.trace.events import KINDS, Event, Instruction
from hartvisor.core.vmm.trace.file import VERSION, Writer
from hartvisor.core.vmm.trace.reader import TraceFile, parse_kinds
from hartvisor.core.vmm.trace.recorder import Recorder

from .support import start

HEADER = {"guest": "loop", "technique": "bare", "harts": 1}
SOURCE = "la x5, 2f\n1: addi x6, x6, 1\nsd x6, (x5)\nsb x6, 3(x5)\nj 1b\n.align 3\n2: .dword 0"
SLICES, SLICE = 3, 12


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trace of many small frames."""
    monkeypatch.setattr(recorder, "FRAME_BYTES", 64)
    vm = start(SOURCE, "bare")
    recording = Recorder(tmp_path / "trace", KINDS, HEADER, symbols=symbols_of(vm.image))
    recording.add_vm(vm)
    for _ in range(SLICES):
        vm.run(SLICE)
        recording.flush()
    recording.close()
    return tmp_path / "trace"


def read(path: Path) -> tuple[list[Event], int | None]:
    trace = TraceFile(path)
    return list(trace.events()), trace.cut


def test_a_whole_file_has_its_header_and_all_frames(path: Path) -> None:
    trace = TraceFile(path)
    assert trace.header.items() >= {**HEADER, "kinds": sorted(KINDS)}.items()
    assert trace.cut is None
    steps = [event.step for event in trace.events(["insn"])]
    assert steps == list(range(SLICES * SLICE))
    assert trace.last_step == SLICES * SLICE


def test_wherever_it_is_cut_what_stands_before_is_read(path: Path, tmp_path: Path) -> None:
    data, (events, _) = path.read_bytes(), read(path)
    part = tmp_path / "part"
    seen = set()
    for length in (*range(0, 900, 30), *range(900, len(data))):  # the header is long, and all alike
        part.write_bytes(data[:length])
        try:
            found, cut = read(part)
        except TraceError as error:
            assert "nothing of the trace is left" in str(error) or (not length and "not a trace" in str(error))
            assert not seen
            continue
        assert cut is not None and cut <= length
        instructions = [event for event in found if isinstance(event, Instruction)]
        assert instructions == [event for event in events if isinstance(event, Instruction)][: len(instructions)]
        seen.add(len(instructions))
    assert seen == set(range(0, SLICES * SLICE + 1, SLICE))


def test_any_flipped_bit_is_noticed(path: Path, tmp_path: Path) -> None:
    data = path.read_bytes()
    flipped = tmp_path / "flipped"
    for at in (*range(0, 900, 9), *range(900, len(data), 3)):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        flipped.write_bytes(changed)
        with pytest.raises(TraceError) as caught:
            read(flipped)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"\x7fELF" + bytes(60), b"some text\n" * 20, bytes(200)])
def test_what_is_no_trace_is_refused(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(TraceError, match="file: not a trace; hartvisor run"):
        TraceFile(tmp_path / "file")


def test_another_format_version_is_refused(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[8] = VERSION + 1
    path.write_bytes(data)
    with pytest.raises(TraceError, match=f"version {VERSION + 1}; this Hartvisor reads {VERSION}"):
        TraceFile(path)


def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="gone: No such file"):
        TraceFile(tmp_path / "gone")
    with pytest.raises(TraceError, match="gone/trace: No such file"):
        Writer(tmp_path / "gone" / "trace", {})


def test_a_full_disk_is_one_line() -> None:
    with pytest.raises(TraceError, match="/dev/full: No space left"):
        Writer(Path("/dev/full"), {"guest": "x" * (1 << 16)}).close()


def test_kinds_are_checked() -> None:
    assert parse_kinds("insn, mem", "--trace") == {"insn", "mem"}
    with pytest.raises(TraceError, match=r"--trace insn,cow: there is no 'cow'; give some of exits,insn,mem,irq"):
        parse_kinds("insn,cow", "--trace")
