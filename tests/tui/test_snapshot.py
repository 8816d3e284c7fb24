"""`hartvisor snapshot`: every verb, and the mistakes one makes with them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "hartvisor.tui.cli", "snapshot"]


class Kept:
    """A store of one's own, reached through the command."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "snapshots.db"

    def __call__(self, *arguments: str, typed: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([*COMMAND, *arguments, "--store", str(self.path)], input=typed, capture_output=True,
                              timeout=60, check=False)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """A store with `early`, and `later`, reached from it."""
    snapshot = Kept(tmp_path_factory.mktemp("store"))
    assert snapshot("save", "early", "kernel", "--at", "300k", "--note", "booting").returncode == 0
    assert snapshot("save", "later", "--from", "early", "--at", "2M").returncode == 0
    return snapshot


def test_list_tree_and_show(kept: Kept) -> None:
    """Names, steps, parents and notes."""
    done = kept("list")
    assert b"early" in done.stdout
    assert b"300,000" in done.stdout
    assert b"booting" in done.stdout
    drawn = kept("tree").stdout.decode().splitlines()
    assert drawn[0] == "start"
    assert drawn[1].index("early") < drawn[2].index("later")
    facts = json.loads(kept("show", "later", "--json", "-").stdout)
    assert (facts["steps"], facts["parent"], facts["image"]) == (2_000_000, "early", "kernel")
    listed = json.loads(kept("list", "--json", "-").stdout)["snapshots"]
    assert [each["name"] for each in listed][:2] == ["early", "later"]


@pytest.mark.parametrize("technique", ["deprivileged", "shadow", "two-stage", "bare"])
def test_a_session_goes_on_under_any_technique(kept: Kept, technique: str) -> None:
    """The shell answers, and the guest ends at the same step, in the same state."""
    done = kept("restore", "later", "--technique", technique, "--json", str(kept.path.parent / technique),
                typed=b"echo hello again\npoweroff\n")
    assert done.returncode == 0
    assert b"hello again" in done.stdout
    result = json.loads((kept.path.parent / technique).read_text())
    assert (result["stop"]["reason"], result["technique"]) == ("power-off", technique)
    first = json.loads((kept.path.parent / "deprivileged").read_text())
    assert (result["steps"], result["digest"]) == (first["steps"], first["digest"])


def test_a_restored_run_is_kept_under_a_new_name(kept: Kept) -> None:
    """restore --save: the next one along."""
    assert kept("restore", "later", "--budget", "100k", "--save", "next", "--quiet").returncode == 0
    facts = json.loads(kept("show", "next", "--json", "-").stdout)
    assert (facts["steps"], facts["parent"]) == (2_100_000, "later")


def test_diff_names_registers_and_pages_with_symbols(kept: Kept) -> None:
    """Exit status 1 where something differs, 0 where nothing does."""
    done = kept("diff", "early", "later")
    assert done.returncode == 1
    assert b"hart0.steps" in done.stdout
    assert b"(deadline)" in done.stdout
    found = json.loads(kept("diff", "early", "later", "--json", "-").stdout)
    assert found["fields"]["hart0.steps"] == ["300000", "2000000"]
    assert any(page["symbol"] == "deadline" for page in found["pages"])
    assert kept("diff", "early", "early").returncode == 0


def test_branch_export_import_delete_verify(kept: Kept, tmp_path: Path) -> None:
    """The rest of a snapshot's life."""
    assert kept("branch", "early", "twin", "--note", "to break").returncode == 0
    file = tmp_path / "early.hvs"
    assert kept("export", "twin", str(file)).returncode == 0
    assert kept("export", "twin", str(file)).returncode == 2
    other = Kept(tmp_path)
    assert other("import", str(file), "here").returncode == 0
    assert b"here" in other("list").stdout
    assert b"1 snapshots, all whole" in other("verify").stderr
    done = kept("delete", "twin")
    assert (done.returncode, b"twin is gone" in done.stderr) == (0, True)
    assert b"twin" not in kept("list").stdout


@pytest.mark.parametrize(("arguments", "message"), [
    (("show", "nothing"), b"no snapshot 'nothing'; there are: early"),
    (("save", "early", "kernel"), b"there is a snapshot 'early' already"),
    (("save", "x"), b"give an IMAGE to run, or --from a snapshot"),
    (("save", "x", "--from", "later", "--at", "5"), b"the guest is past it, at step 2,000,000"),
    (("save", "x", "nonesuch"), b"no such file"),
    (("import", "/dev/null/x"), b"no such snapshot store"),
    (("restore", "later", "--technique", "magic"), b"magic"),
])
def test_a_mistake_is_one_line(kept: Kept, arguments: tuple[str, ...], message: bytes) -> None:
    """Status 2, what is wrong and what would be right."""
    done = kept(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_store_that_is_not_there_is_not_made_by_looking(tmp_path: Path) -> None:
    """Reading verbs say so, and leave no file behind."""
    snapshot = Kept(tmp_path)
    done = snapshot("list")
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert b"no such snapshot store" in done.stderr
    assert not snapshot.path.exists()


def test_a_foreign_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    """Text is no store."""
    snapshot = Kept(tmp_path)
    snapshot.path.write_text("hello\n" * 1000)
    done = snapshot("list")
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert snapshot.path.read_text() == "hello\n" * 1000
