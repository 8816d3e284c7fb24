"""Recording and replay: the same run again, under any technique, and a clear word where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hartvisor.core.errors import ConfigError, HartvisorError
from hartvisor.core.machine.inputs import Parted
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.plain import DamagedError
from hartvisor.core.vmm.recipe import Recipe
from hartvisor.core.vmm.recording import MAGIC, Recorder, Replay, read_recording
from hartvisor.core.vmm.stop import StopReason
from hartvisor.guest import image

TECHNIQUES = ("bare", "deprivileged", "shadow", "two-stage")
CONFIG = VmConfig(technique="two-stage", memory=32 << 20)


def record(path: Path, *, digest_every: int = 500_000, is_closed: bool = True, name: str = "kernel") -> bytes:
    """A session: a pipe, then keys, then power off. What the guest wrote."""
    written: list[bytes] = []
    recipe = Recipe.of(name, CONFIG, image(name))
    vm = recipe.start(written.append)
    recorder = Recorder(vm, recipe, path, digest_every)
    pipe = [b"echo from a pipe\n", b""]
    vm.console.refill = vm.inputs.pulling("console", lambda: pipe.pop(0) if pipe else b"")
    recorder.run(3_000_000)
    for line in (b"echo one\n", b"echo two\n", b"poweroff\n"):
        vm.inputs.push("console", line)
        stop = recorder.run(1_234_567)
    if is_closed:
        recorder.close(stop)
    else:
        recorder.cut_off()
    return b"".join(written)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A recording, and what its guest wrote."""
    path = tmp_path_factory.mktemp("recording") / "session.hvr"
    return path, record(path)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_replay_is_the_recorded_run(session: tuple[Path, bytes], technique: str) -> None:
    """Every digest equal, the same output and the same end, whatever the technique."""
    path, expected = session
    recording = read_recording(path)
    written: list[bytes] = []
    replay = Replay(recording, written.append, technique)
    stop = replay.run(recording.length, is_verified=True)
    assert stop.reason is StopReason.POWER_OFF
    assert replay.checked == len(recording.digests) + 1
    assert b"".join(written) == expected
    assert b"from a pipe" in expected
    assert b"two" in expected


def test_a_replay_stops_where_it_is_told(session: tuple[Path, bytes]) -> None:
    """--to N: the state after exactly N steps."""
    replay = Replay(read_recording(session[0]), lambda data: None)
    replay.run(1_000_001)
    assert replay.vm.steps == 1_000_001


def test_a_changed_input_is_found_at_its_instruction(tmp_path: Path) -> None:
    """With a digest for each step, the replay says after which step the state differed for the first time."""
    path = tmp_path / "fine.hvr"
    record(path, digest_every=1, is_closed=False, name="hello")
    recording = read_recording(path)
    step = sorted(recording.digests)[len(recording.digests) // 2]
    recording.digests[step] = "0" * 32
    with pytest.raises(Parted, match=f"parted from the recording at step {step:,}: .*equal at step {step - 1:,}"):
        Replay(recording, lambda data: None).run(recording.length, is_verified=True)


def test_another_key_is_found(session: tuple[Path, bytes]) -> None:
    """Somebody typed something else: the next digest differs, and the input before it is named."""
    recording = read_recording(session[0])
    index = next(i for i, event in enumerate(recording.events) if not event.is_pulled)
    event = recording.events[index]
    recording.events[index] = type(event)(event.step, event.source, b"echo 1ne\n")
    with pytest.raises(Parted, match=f"input in between: console at step {event.step:,}"):
        Replay(recording, lambda data: None).run(recording.length, is_verified=True)


def test_input_that_is_missing_is_found(session: tuple[Path, bytes]) -> None:
    """The guest asks for what the recording has not, or has elsewhere: said at that very step."""
    recording = read_recording(session[0])
    pulled = next(event for event in recording.events if event.is_pulled)
    recording.events.remove(pulled)
    with pytest.raises(Parted, match=f"at step {pulled.step:,}: the guest asks for input from console"):
        Replay(recording, lambda data: None).run(recording.length)


def test_a_killed_run_leaves_a_recording(tmp_path: Path) -> None:
    """Without its end, and cut within a record, it is replayed as far as it goes."""
    path = tmp_path / "killed.hvr"
    record(path, is_closed=False)
    path.write_bytes(path.read_bytes()[:-3])
    recording = read_recording(path)
    assert recording.ending is None
    replay = Replay(recording, lambda data: None)
    replay.run(recording.length, is_verified=True)
    assert replay.vm.steps == recording.length > 3_000_000


def test_what_cannot_be_recorded_is_refused(tmp_path: Path) -> None:
    """A VM in the midst of its run, a folder that is not there, digests every zero steps."""
    recipe = Recipe.of("hello", CONFIG, image("hello"))
    vm = recipe.start(lambda data: None)
    with pytest.raises(ConfigError, match="No such file"):
        Recorder(vm, recipe, tmp_path / "no" / "where")
    with pytest.raises(ConfigError, match="at least 1"):
        Recorder(vm, recipe, tmp_path / "x", 0)
    vm.run(10)
    with pytest.raises(ConfigError, match="first step"):
        Recorder(vm, recipe, tmp_path / "x")


@pytest.mark.parametrize(("data", "message"), [
    (b"", "no recording"), (b"\x7fELF" + bytes(100), "no recording"), (MAGIC, "cut off before its header"),
    (MAGIC + bytes(8), "damaged at byte 22"),
])
def test_foreign_files_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    """Each with one line."""
    path = tmp_path / "foreign"
    path.write_bytes(data)
    with pytest.raises(DamagedError, match=message):
        read_recording(path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_flipped_bit_is_found(session: tuple[Path, bytes], tmp_path_factory: pytest.TempPathFactory,
                                data: st.DataObject) -> None:
    """Wherever it is: refused with one line, or it cuts the file off."""
    whole = session[0].read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    path = tmp_path_factory.mktemp("flipped") / "x"
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << data.draw(st.integers(0, 7))]) + whole[at + 1:])
    try:
        recording = read_recording(path)
    except HartvisorError as error:
        assert "\n" not in str(error)
    else:
        assert recording.ending is None
