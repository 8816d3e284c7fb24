"""What runs a round's VMs: each job once, as many threads as were asked for, and no failure lost."""

from __future__ import annotations

import threading
import time
from collections import Counter

import pytest

from hartvisor.core.vmm.hypervisor.runner import Job, OneThread, Runner, Threads

RUNNERS = [pytest.param(OneThread(), 1, id="one thread"), pytest.param(Threads(1), 1, id="one of many"),
           pytest.param(Threads(2), 2, id="two"), pytest.param(Threads(3), 3, id="three")]


@pytest.mark.parametrize(("runner", "most"), RUNNERS)
def test_each_job_is_done_once_by_no_more_threads_than_there_are(runner: Runner, most: int) -> None:
    done: Counter[int] = Counter()
    threads: set[int] = set()
    lock = threading.Lock()
    together, peak = 0, 0

    def job(number: int) -> Job:
        def work() -> None:
            nonlocal together, peak
            with lock:
                threads.add(threading.get_ident())
                together += 1
                peak = max(peak, together)
            time.sleep(0.01)
            with lock:
                together -= 1
                done[number] += 1
        return work

    runner.run([job(number) for number in range(9)])
    assert done == dict.fromkeys(range(9), 1)
    assert peak == most
    assert threading.get_ident() in threads     # the caller does its part
    runner.run([])
    runner.run([job(9)])
    assert done[9] == 1


def test_the_first_failure_is_raised_when_all_others_are_done() -> None:
    done = []

    def fails() -> None:
        raise ValueError("the first")

    def works() -> None:
        time.sleep(0.01)
        done.append(True)

    def fails_first() -> None:
        raise ValueError("another")

    def fails_later() -> None:
        time.sleep(0.02)
        fails()

    runner = Threads(2)
    with pytest.raises(ValueError, match="the first"):      # in the jobs' order, whichever came first
        runner.run([fails_later, fails_first])
    with pytest.raises(ValueError, match="the first"):
        runner.run([fails, works, works, works])
    assert len(done) == 3
    runner.run([works])
    assert len(done) == 4
    runner.close()
