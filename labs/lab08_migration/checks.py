"""Lab 8's checks."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from random import Random

from ..judge.runner import share_of_band
from ..judge.trial import Trial
from ..judge.verdict import Verdict, failed, passed
from . import programs
from .moving import Moving, working_set
from .programs import Case


def _moved(trial: Trial, case: Case) -> Moving:
    """The guest moves; the student's process knows of no other."""
    with trial.another() as student:
        moving = Moving(trial, case, student)
        moving.run()
    return moving


def same(make: Callable[[Random], Case], count: int = 2) -> Callable[[Trial], Verdict]:
    """Some guests move, each to another technique: the same digest, and the same again after some thousand steps."""

    def run(trial: Trial) -> Verdict:
        total: dict[str, int] = {}
        for index in range(count):
            for name, value in _moved(trial, make(trial.random(str(index)))).metrics.items():
                total[name] = total.get(name, 0) + value
        return passed(counted=total)

    return run


def _longest(fewest: int) -> int:
    """Pages of a pause that is still called short."""
    return 2 * fewest + 4


def converges(trial: Trial) -> Verdict:
    """A guest whose rounds get smaller: an answer that sends all in the pause fails here, and so does one that knows no
    end."""
    case = programs.settling(trial.random())
    moving, fewest = _moved(trial, case), working_set(case)
    if moving.paused > _longest(fewest):
        moving.part("downtime", f"{moving.paused} pages", f"{_longest(fewest)} at most: {fewest} are in use at once")
    return passed(counted=moving.metrics, working_set=fewest)


def never_converges(trial: Trial) -> Verdict:
    """A guest that stores to more than the link carries: no round will be smaller, and that must be seen."""
    case = programs.storm(trial.random())
    moving = _moved(trial, case)
    if moving.rounds > 12 or moving.pages > 4 * moving.present:
        moving.part("rounds", f"{moving.rounds}, {moving.pages} pages", f"12, and {4 * moving.present} pages, at most")
    if moving.paused > case.hot + case.hot // 2 + 8:
        moving.part("downtime", f"{moving.paused} pages", f"about the {case.hot} that are in use")
    return passed(counted=moving.metrics, working_set=case.hot)


def nothing_twice(trial: Trial) -> Verdict:
    """A guest that stores to nothing any more: each page once, and a pause without any."""
    moving = _moved(trial, programs.still(trial.random()))
    if moving.pages != moving.present + 1:
        moving.part("pages", f"{moving.pages} sent", f"{moving.present}, and the state")
    if moving.paused != 1:
        moving.part("downtime", f"{moving.paused - 1} pages", "0: they could all go before")
    return passed(counted=moving.metrics)


def downtime(trial: Trial) -> Verdict:
    """Pages in the pause, against the guest's working set."""
    paused = fewest = 0
    for index in range(2):
        case = programs.settling(trial.random(str(index)))
        paused += _moved(trial, case).paused
        fewest += working_set(case)
    percent = -(-100 * paused // fewest)
    share = share_of_band(percent, ((160, Fraction(1)), (250, Fraction(2, 3)), (500, Fraction(1, 3))))
    message = f"{paused} pages in the pause, where {fewest} are in use at once: {percent} %"
    if share == 1:
        return passed(message, paused=paused, working_set=fewest)
    return failed(message, share=share, paused=paused, working_set=fewest)


def pages(trial: Trial) -> Verdict:
    """Pages sent in all, against each once; a long pause saves them all, and does not count."""
    sent = present = 0
    for index in range(2):
        case = programs.settling(trial.random(str(index)))
        moving, longest = _moved(trial, case), _longest(working_set(case))
        if moving.paused > longest:
            return failed(f"{moving.paused} pages in the pause: this counts with {longest} at most",
                          paused=moving.paused)
        sent += moving.pages
        present += moving.present
    percent = -(-100 * sent // present)
    share = share_of_band(percent, ((145, Fraction(1)), (175, Fraction(2, 3)), (250, Fraction(1, 3))))
    message = f"{sent} pages sent, of {present} that there are: {percent} %"
    if share == 1:
        return passed(message, pages=sent, present=present)
    return failed(message, share=share, pages=sent, present=present)
