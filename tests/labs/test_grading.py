"""A whole class: found, graded once each on workers, resumed after a kill, and reported."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.labs.catalog import find_lab
from hartvisor.labs.grading.cluster import Graded, grade_class
from hartvisor.labs.grading.found import Found, find_submissions
from hartvisor.labs.grading.kept import Kept
from hartvisor.labs.grading.report import common_hashes, likeness, to_csv, to_html, trace_likeness
from hartvisor.labs.judge.session import Log
from hartvisor.labs.judge.trace import KEPT, resemblance, sketch
from hartvisor.labs.submission import Submission
from hartvisor.tui.cli import main
from tests.labs.class_of import make_quick_class
from tests.labs.class_run import grade, kill_and_resume, scheduler, stamps
from tests.labs.support import changed, judge

STUDENTS = 20


def in_zip(path: Path, files: dict[str, str]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def test_submissions_are_folders_and_zips(tmp_path: Path) -> None:
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / "answer.py").write_text("1")
    in_zip(tmp_path / "bob.zip", {"lab00/answer.py": "1", "lab00/../../evil.py": "2", "notes.txt": "no"})
    (tmp_path / "cy").mkdir()
    (tmp_path / "dan.zip").write_text("no zip at all")
    in_zip(tmp_path / "eve.zip", {"answer.py": "0" * (3 << 20)})
    found = {each.student: each for each in find_submissions(tmp_path)}
    assert list(found) == ["ann", "bob", "cy", "dan", "eve"]
    assert dict(found["ann"].submission.texts) == {"answer.py": "1"}
    assert set(found["bob"].submission.texts) == {"answer.py", "evil.py"}
    assert "no answer.py" in found["cy"].problem
    assert "not a zip" in found["dan"].problem
    assert "too large" in found["eve"].problem
    assert found["ann"].key(0, 0) != found["ann"].key(0, 1)


def test_a_folder_without_submissions(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no submissions"):
        find_submissions(tmp_path)
    with pytest.raises(ConfigError, match="no folder"):
        find_submissions(tmp_path / "nosuch")


def test_half_a_result_is_none(tmp_path: Path) -> None:
    kept = Kept(tmp_path)
    result = judge(0, changed(0, {}), names=("sign-extend",))
    kept.save("a" * 32, result)
    assert kept.load("a" * 32) == result
    path = tmp_path / ("a" * 32 + ".json")
    path.write_text(path.read_text()[:100])
    assert kept.load("a" * 32) is None
    assert [each.name for each in tmp_path.iterdir()] == [path.name], "nothing unfinished is left"


def test_killed_half_way_and_resumed(tmp_path: Path) -> None:
    """The same scores as in one go, and nothing graded twice."""
    make_quick_class(STUDENTS, tmp_path / "class")
    out = tmp_path / "report.html"
    before, told = kill_and_resume(0, tmp_path / "class", out, STUDENTS // 4, "--workers", "2")
    assert f"{STUDENTS} submissions, {STUDENTS - before} graded now, {before} before" in told
    assert len(stamps(out)) == STUDENTS
    rows = list(csv.DictReader(io.StringIO(out.with_suffix(".csv").read_text())))
    assert [row["points"] for row in rows] == ["0"] * STUDENTS


def test_on_a_scheduler_that_is_there(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    make_quick_class(6, tmp_path / "class")
    with scheduler(tmp_path, 1) as address:
        run = grade(0, tmp_path / "class", tmp_path / "report.html", "--scheduler", address)
        told, _ = run.communicate(timeout=180)
    assert run.returncode == 0
    assert "6 submissions, 6 graded now, 0 before" in told


def test_equal_submissions_are_graded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hartvisor.labs.grading import cluster

    for name in ("ann", "bob", "cy"):
        (tmp_path / "class" / name).mkdir(parents=True)
        (tmp_path / "class" / name / "answer.py").write_text("raise ValueError" + (" # cy" if name == "cy" else ""))
    runs = []

    def run(dask: Any, number: int, seed: int, waiting: Any, kept: Kept, tell: Any) -> None:
        for key, group in waiting.items():
            result = judge(number, group[0].submission, seed, names=("sign-extend",))
            runs.append(key)
            kept.save(key, result)
            for found in group:
                tell(found, result, True)

    @contextmanager
    def client() -> Iterator[None]:
        yield None

    monkeypatch.setattr(cluster, "_run", run)
    told: list[Graded] = []
    submissions = find_submissions(tmp_path / "class")
    graded = grade_class(0, submissions, 0, Kept(tmp_path / "kept"), client, told.append)
    assert len(runs) == 2
    assert [each.found.student for each in graded] == ["ann", "bob", "cy"]
    assert len(told) == 3
    again = grade_class(0, submissions, 0, Kept(tmp_path / "kept"), client, told.append)
    assert len(runs) == 2
    assert not any(each.is_new for each in again)


def test_the_report(tmp_path: Path) -> None:
    """Names are harmless in both files; the same mistake is seen as such."""
    (tmp_path / "=cmd()<b>").mkdir()
    unsigned = ('"B": 13, "U"', '"U"')
    for name, (old, new) in (("ann", unsigned), ("bob", unsigned), ("cy", ("sign = 1", "sign = 2"))):
        (tmp_path / name).mkdir()
        for file, text in changed(0, {old: new}).texts.items():
            (tmp_path / name / file).write_text(f"{text}# {name}\n")
    names = ("sign-extend", "decode-jumps", "decode-all")
    graded = [Graded(found, judge(0, found.submission, names=names), True) for found in find_submissions(tmp_path)]
    page, table = to_html(find_lab(0), graded, 0), to_csv(find_lab(0), graded)
    assert "<b>" not in page and "&lt;b&gt;" in page
    assert "\n'=cmd()" in table
    by_name = {each.found.student: each for each in graded}
    assert likeness(by_name["ann"], by_name["bob"]) == 1
    assert likeness(by_name["ann"], by_name["cy"]) < 0.6
    assert "<td class=n>100 %" in page


WALKS = ("walk-guest", "classify-fault")
ODD = {"            pte = self.machine.load_guest(table + index(gva, level) * PTE_SIZE)\n":
       "            place = table + index(gva, level) * PTE_SIZE\n            self.machine.load_guest(place)\n"
       "            pte = self.machine.load_guest(place)\n"}
"""Right, but each entry is loaded twice, which nobody has to."""
RENAMED = {next(iter(ODD)):
           "            # mine\n            address = table + PTE_SIZE * index(gva, level)\n"
           "            nothing = self.machine.load_guest(address)\n"
           "            pte = self.machine.load_guest(address)\n"}
OTHER = {'            return Verdict("guest", found.cause)\n':
         '            self.machine.frame(gva % 4096)\n            return Verdict("guest", found.cause)\n'}


def test_traces_are_alike_whatever_names_the_code_has() -> None:
    """Two who do the same odd thing, among those who do what everybody does; all of them are right."""
    changes = {"right0": {}, "ann": ODD, "bob": RENAMED, "cy": OTHER}
    results = {name: judge(4, changed(4, change), names=WALKS) for name, change in changes.items()}
    results |= {f"right{number}": results["right0"] for number in range(1, 5)}
    graded = [Graded(Found(name, Submission({"answer.py": name})), result, True) for name, result in results.items()]
    by_name = {each.found.student: each for each in graded}
    common = common_hashes(graded)
    assert all(check.status.value == "pass" and check.trace for each in results.values() for check in each.checks)
    assert trace_likeness(by_name["ann"], by_name["bob"], common) == 1
    assert trace_likeness(by_name["ann"], by_name["cy"], common) < 0.3
    assert trace_likeness(by_name["right0"], by_name["right1"], common) == 0, "right answers are alike, and may be"
    page = to_html(find_lab(4), graded, 0)
    assert "<td>ann<td>bob<td class=n>100 %" in page
    assert "<td>right0" not in page.partition("Alike")[2]


def test_a_sketch_estimates_what_two_traces_share() -> None:
    def log(words: range) -> Log:
        return Log([b"loaded", *(f'{{"ret":{word}}}'.encode() for word in words)])

    whole = sketch([log(range(1000))])
    assert len(whole) == KEPT
    assert resemblance(whole, sketch([log(range(1000))])) == (KEPT, KEPT)
    same, total = resemblance(whole, sketch([log(range(500, 1500))]))
    assert 0.15 < same / total < 0.55, "a third, about"
    assert resemblance(whole, sketch([log(range(5000, 6000))]))[0] == 0
    assert sketch([Log([b"loaded"])]) == ()
    assert resemblance((), whole) == (0, KEPT)


@pytest.mark.parametrize(("arguments", "said"), [
    (("0", "nosuch"), "no folder"), (("77", "nosuch"), "no lab 77"), (("0", "nosuch", "--workers", "0"), "at least 1")])
def test_mistakes_are_one_line(capsys, arguments, said) -> None:
    assert main(["grade-class", *arguments]) == 2
    assert said in capsys.readouterr().err
