"""`hartvisor run --record` and `hartvisor replay`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "hartvisor.tui.cli"]


def hartvisor(*arguments: str, typed: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run the command."""
    return subprocess.run([*COMMAND, *arguments], input=typed, capture_output=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    """A recorded session, and what its guest wrote."""
    file = tmp_path_factory.mktemp("recorded") / "session.hvr"
    done = hartvisor("run", "kernel", "--technique", "shadow", "--record", str(file), "--digest-every", "200k",
                     typed=b"ls\necho recorded\npoweroff\n")
    assert done.returncode == 0
    return file, done.stdout


@pytest.mark.parametrize("technique", ["deprivileged", "shadow", "two-stage", "bare"])
def test_a_replay_is_verified_under_every_technique(recorded: tuple[Path, bytes], technique: str) -> None:
    """The same console output, every digest equal."""
    file, output = recorded
    done = hartvisor("replay", str(file), "--verify", "--technique", technique, "--json", str(file.parent / technique))
    assert (done.returncode, done.stdout) == (0, output)
    result = json.loads((file.parent / technique).read_text())
    assert result["digests_equal"] > 3
    assert result["stop"]["reason"] == "power-off"
    assert f"{result['digests_equal']} digests equal".encode() in done.stderr


def test_a_replay_stops_at_a_step_and_shows_the_state(recorded: tuple[Path, bytes]) -> None:
    """--to N: where the guest is then."""
    done = hartvisor("replay", str(recorded[0]), "--to", "300k")
    assert done.returncode == 0
    assert b"step 300,000, of " in done.stderr
    assert b"pc 0x802" in done.stderr
    assert max(len(line) for line in done.stderr.splitlines()) <= 80


def test_a_recording_can_be_made_of_what_will_be_kept(tmp_path: Path) -> None:
    """--record and --save together: the snapshot is the recording's end."""
    store = str(tmp_path / "store.db")
    done = hartvisor("run", "kernel", "--budget", "700k", "--record", str(tmp_path / "r"), "--save", "end", "--store",
                     store, typed=b"ls\n")
    assert done.returncode == 0
    shown = json.loads(hartvisor("snapshot", "show", "end", "--store", store, "--json", "-").stdout)
    replayed = json.loads(hartvisor("replay", str(tmp_path / "r"), "--json", "-").stdout)
    assert (shown["steps"], shown["digest"]) == (700_000, replayed["digest"])


@pytest.mark.parametrize(("damage", "message"), [
    (lambda data: b"hello " * 30, b"no recording"),
    (lambda data: data[:60] + bytes([data[60] ^ 4]) + data[61:], b"damaged at byte 22"),
    (lambda data: data[:100], b"cut off before its header"),
])
def test_what_is_no_recording_is_refused(recorded: tuple[Path, bytes], tmp_path: Path, damage, message) -> None:  # type: ignore[no-untyped-def]
    """One line, status 2."""
    file = tmp_path / "x"
    file.write_bytes(damage(recorded[0].read_bytes()))
    done = hartvisor("replay", str(file))
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert message in done.stderr


def test_a_recording_that_cannot_be_written_is_said_before_the_run(tmp_path: Path) -> None:
    """One line, status 2."""
    done = hartvisor("run", "kernel", "--record", str(tmp_path / "no" / "where"))
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
