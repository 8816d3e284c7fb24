"""What an instructor reads: a table for spreadsheets; a page with a histogram, checks' statistics, and pairs alike."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from html import escape
from itertools import combinations
from typing import Final

from ..judge.trace import resemblance
from ..lab import Lab
from .cluster import Graded

BINS: Final = 10
MOST_PAIRS: Final = 40
LEAST_ALIKE: Final = 0.6
"""Pairs that are less alike are not listed."""
LEAST_COMMON: Final = 4
"""What more submissions than that do, and more than a tenth of the class, is no sign."""
LEAST_HASHES: Final = 12
"""Fewer do not tell how alike two traces are."""

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .2rem .7rem; border-bottom: 1px solid #ddd }
th { text-align: left } td.n { text-align: right; font-variant-numeric: tabular-nums }
.bar { fill: #3b7ea1 } .axis { font-size: 12px; fill: #555 } .bad { color: #a12 } .dim { color: #777 }
"""


def to_csv(lab: Lab, graded: Sequence[Graded]) -> str:
    """A row for each student: points, then each check's."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["student", "points", "max", *(check.name for check in lab.checks), "submission", "problem"])
    for each in graded:
        points = {check.name: check.points for check in each.result.checks} if each.result else {}
        writer.writerow([
            _harmless(each.found.student), f"{each.result.points:g}" if each.result else "", lab.points,
            *(f"{points[check.name]:g}" if check.name in points else "" for check in lab.checks),
            each.found.submission.digest, _harmless(each.found.problem)])
    return out.getvalue()


def _harmless(text: str) -> str:
    """A spreadsheet takes what begins like this for a formula."""
    return "'" + text if text[:1] in ("=", "+", "-", "@") else text


def to_html(lab: Lab, graded: Sequence[Graded], seed: int) -> str:
    """The page; it needs no other file."""
    results = [each.result for each in graded if each.result is not None]
    points = sorted(result.points for result in results)
    middle = points[len(points) // 2] if points else 0
    mean = sum(points) / len(points) if points else 0
    parts = [
        "<!doctype html>", "<html lang=en>", "<meta charset=utf-8>",
        f"<title>Lab {lab.number}: {escape(lab.title)}</title>",
        f"<style>{_STYLE}</style>", f"<h1>Lab {lab.number}: {escape(lab.title)}</h1>",
        f"<p>{len(graded)} submissions, seed {seed}; mean {mean:.1f}, median {middle:g}, of {lab.points} points.</p>",
        _histogram(points, lab.points), "<h2>Checks</h2>", _checks(lab, graded), "<h2>Students</h2>", _students(graded),
        "<h2>Alike</h2>", _alike(graded)]
    return "\n".join(parts) + "\n"


def _histogram(points: Sequence[float], most: int) -> str:
    counts = Counter(min(BINS - 1, int(BINS * each / most)) for each in points)
    highest = max(counts.values(), default=1)
    bars = []
    for index in range(BINS):
        height = 120 * counts[index] / highest
        left = 10 + 60 * index
        count = counts[index] or ""
        bars.append(f'<rect class=bar x={left} y={130 - height:.1f} width=54 height={height:.1f}></rect>'
                    f'<text class=axis x={left + 27} y={124 - height:.1f} text-anchor=middle>{count}</text>'
                    f'<text class=axis x={left} y=148>{most * index // BINS}</text>')
    return f'<svg role=img aria-label="histogram of points" width=620 height=155>{"".join(bars)}</svg>'


def _checks(lab: Lab, graded: Sequence[Graded]) -> str:
    rows = ["<tr><th>check<th>points<th>passed<th>mean<th>states<th>most frequent first divergence"]
    for check in lab.checks:
        found = [each for one in graded if one.result for each in one.result.checks if each.name == check.name]
        states = Counter(each.status.value for each in found)
        where = Counter(f"{each.first_divergence.field} at {each.first_divergence.line or each.first_divergence.step}"
                        for each in found if each.first_divergence is not None)
        mean = sum(each.points for each in found) / len(found) if found else 0
        top = "; ".join(f"{count}: {escape(text[:90])}" for text, count in where.most_common(2))
        rows.append(f"<tr><td>{escape(check.name)}<td class=n>{check.points}<td class=n>{states['pass']}"
                    f"<td class=n>{mean:.1f}<td>{', '.join(f'{name} {count}' for name, count in states.most_common())}"
                    f"<td class=dim>{top}")
    return f"<table>{''.join(rows)}</table>"


def _students(graded: Sequence[Graded]) -> str:
    rows = ["<tr><th>student<th>points<th>lost in"]
    for each in sorted(graded, key=lambda one: (-(one.result.points if one.result else -1), one.found.student)):
        name = escape(each.found.student)
        if each.result is None:
            rows.append(f"<tr><td>{name}<td class=n>?<td class=bad>no worker came back with a result; run it again")
            continue
        missing = [f"{check.name} ({check.status.value})" for check in each.result.checks if check.points < check.max]
        problem = f"<span class=bad>{escape(each.found.problem)}</span> " if each.found.problem else ""
        losses = escape(", ".join(missing))
        rows.append(f"<tr><td>{name}<td class=n>{each.result.points:g}<td class=dim>{problem}{losses}")
    return f"<table>{''.join(rows)}</table>"


def likeness(one: Graded, other: Graded) -> float:
    """How alike two wrong answers went wrong: of what either's traces hold beside points, the share that both have.

    Right answers are all alike, so only checks that one of them failed count: state, counts of exits, and the first
    divergence with what was got there.
    """
    if one.result is None or other.result is None:
        return 0.0
    mine, theirs = ({check.name: check for check in each.result.checks} for each in (one, other) if each.result)
    same = total = 0
    for name in mine.keys() & theirs.keys():
        left, right = mine[name], theirs[name]
        if left.status.value == right.status.value == "pass" or left.kind == "prediction":
            continue
        first, second = ({("status", each.status.value), *each.metrics.items(), ("where", str(each.first_divergence))}
                         for each in (left, right))
        same += len(first & second)
        total += len(first | second)
    return same / total if total else 0.0


def common_hashes(graded: Sequence[Graded]) -> frozenset[int]:
    """What so many traces have that it says nothing about two: the way that the handout suggests, mostly."""
    seen = Counter(each for one in graded if one.result is not None
                   for each in {value for check in one.result.checks for value in check.trace})
    most = max(LEAST_COMMON, len(graded) // 10)
    return frozenset(each for each, count in seen.items() if count > most)


def trace_likeness(one: Graded, other: Graded, common: frozenset[int]) -> float:
    """How alike the exits' traces of two submissions are: of the hashes that few others have, the share that both
    have; 0 where there are too few to tell."""
    if one.result is None or other.result is None:
        return 0.0
    theirs = {check.name: check.trace for check in other.result.checks}
    same = total = 0
    for check in one.result.checks:
        both, all_ = resemblance(check.trace, theirs.get(check.name, ()), common)
        same += both
        total += all_
    return same / total if total >= LEAST_HASHES else 0.0


def _alike(graded: Sequence[Graded]) -> str:
    """Pairs with equal files first, then those that do the same at the exits, or fail in the same way."""
    pairs = []
    common = common_hashes(graded)
    for one, other in combinations([each for each in graded if each.result is not None], 2):
        if one.found.submission.digest == other.found.submission.digest:
            pairs.append((2.0, one, other, "", "the same files"))
            continue
        alike, traces = likeness(one, other), trace_likeness(one, other, common)
        if max(alike, traces) >= LEAST_ALIKE:
            pairs.append((max(alike, traces), one, other, _percent(traces), _percent(alike)))
    pairs.sort(key=lambda pair: -pair[0])
    if not pairs:
        return "<p>No two submissions are alike in what only few do.</p>"
    rows = ["<tr><th>student<th>student<th>alike in their exits' traces<th>in how they fail"]
    rows += [f"<tr><td>{escape(one.found.student)}<td>{escape(other.found.student)}<td class=n>{traces}"
             f"<td class=n>{fails}" for _, one, other, traces, fails in pairs[:MOST_PAIRS]]
    more = f"<p class=dim>and {len(pairs) - MOST_PAIRS:,} pairs more</p>" if len(pairs) > MOST_PAIRS else ""
    return ("<p class=dim>For your eyes: a trace is what the code asked and decided at each exit, whatever its names "
            "are; only what few in the class do counts. The same mistake at the same step is no proof of anything.</p>"
            f"<table>{''.join(rows)}</table>{more}")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share else ""
