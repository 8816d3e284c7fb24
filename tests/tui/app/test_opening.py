"""`hartvisor tui`: what it opens, what it draws without a terminal, and how mistakes end: one line, status 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hartvisor.core.errors import HartvisorError, OptionError
from hartvisor.tui.app.keymap import read_keymap
from hartvisor.tui.app.opening import Wish, open_all
from hartvisor.tui.app.script import parse_size, read_script

from .support import Desk, glass


def hartvisor(*arguments: str, folder: Path, data: bytes = b"") -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "hartvisor.tui.cli", *arguments], cwd=folder, input=data.decode(),
                          capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recording")
    done = hartvisor("run", "kernel", "--memory", "32M", "--technique", "shadow", "--record", "run.hvr", "--quiet",
                     folder=folder, data=b"echo recorded\npoweroff\n")
    assert done.returncode == 0, done.stderr
    return folder / "run.hvr"


def test_a_recording_is_had_again_to_its_end(recording: Path) -> None:
    async def test(desk: Desk) -> None:
        await desk.press("c")
        await desk.settle(is_patient=True)
        assert desk.inspector.halt is not None and desk.inspector.halt.reason in ("END", "ENDED")
        assert b"recorded" in desk.inspector.output.upto(desk.inspector.step)
        assert desk.inspector.step == desk.inspector.limit
        desk.app.engine.type_to(0, b"x")
        await desk.settle()
        assert any("nothing can be typed" in notice for notice in desk.notices())
        await desk.press("E", "S")
        assert desk.inspector.step < (desk.inspector.limit or 0)

    glass(test, str(recording), technique=())


def test_a_recording_under_another_technique(recording: Path) -> None:
    inspection = open_all(Wish(names=(str(recording),), techniques=("two-stage",)))
    assert inspection.inspector.technique == "two-stage"


def test_a_snapshot_goes_on(tmp_path: Path) -> None:
    done = hartvisor("snapshot", "save", "early", "kernel", "--at", "100k", "--memory", "32M", "--store", "store.db",
                     folder=tmp_path)
    assert done.returncode == 0, done.stderr
    inspection = open_all(Wish(names=("early",), techniques=("shadow",), store=tmp_path / "store.db"))
    assert (inspection.inspector.step, inspection.inspector.technique) == (100_000, "shadow")


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["no-such-guest"], "no such file, and"),
        (["missing.hvr"], "missing.hvr"),
        (["kernel", "kernel", "--technique", "shadow", "--technique", "bare", "--technique", "bare"], "give it once"),
        (["kernel", "--size", "wide"], "--size wide: columns and rows"),
        (["kernel", "--theme", "mauve", "--screenshot", "x.svg"], "--theme mauve: there are"),
        (["kernel", "--script", "missing"], "--script missing"),
        (["kernel", "--screenshot", "no/folder/x.svg"], "no/folder/x.svg"),
        (["kernel", "--keys", "missing.toml"], "missing.toml"),
        (["kernel", "--serve", "--port", "99999"], "--port 99999"),
        (["kernel"], "this is no terminal"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], wanted: str, tmp_path: Path) -> None:
    done = hartvisor("tui", *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert wanted in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_damaged_recording_is_one_line(recording: Path, tmp_path: Path) -> None:
    data = bytearray(recording.read_bytes())
    data[60] ^= 0xFF
    (tmp_path / "damaged.hvr").write_bytes(data)
    done = hartvisor("tui", "damaged.hvr", "--screenshot", "x.svg", folder=tmp_path)
    assert done.returncode == 2
    assert "damaged at byte" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_picture_by_a_script(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("# the first miss\npress t\nscreenshot first.svg\nsize 80x24\ncommand until sbi\n"
                                     "wait\ntheme textual-light\n", encoding="utf-8")
    done = hartvisor("tui", "kernel", "--technique", "two-stage", "--script", "script", "--screenshot", "last.svg",
                     folder=tmp_path)
    assert done.returncode == 0, done.stderr
    first, last = ((tmp_path / name).read_text(encoding="utf-8") for name in ("first.svg", "last.svg"))
    assert "gstage-fill" in first and "sbi" in last
    assert last.startswith("<svg")


def test_a_script_is_checked_before_it_is_played(tmp_path: Path) -> None:
    (tmp_path / "script").write_text("press s\n\ndance\n", encoding="utf-8")
    with pytest.raises(OptionError, match=r"script:3: dance: a line begins with"):
        read_script(tmp_path / "script")


def test_sizes() -> None:
    assert parse_size("200x60", "--size") == (200, 60)
    for text in ("200", "200x", "0x0x0", "9x9", "x60"):
        with pytest.raises(HartvisorError):
            parse_size(text, "--size")


def test_a_keymap_names_its_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    for text, wanted in (("step = ", "keys.toml"), ("stride = \"j\"", "no key is called stride"),
                         ("step = 3", "the name of a key"), ("step = \"\"", "the name of a key")):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(OptionError, match=wanted):
            read_keymap(path)
    path.write_text("step = \"j\"\npanel-lab = \"f1\"\n", encoding="utf-8")
    assert read_keymap(path) == {"step": "j", "panel-lab": "f1"}
