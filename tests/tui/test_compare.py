"""`hartvisor compare`: the main job, on the shipped kernel."""

import json

import pytest

from hartvisor.guest import images
from hartvisor.tui.cli import main

TECHNIQUES = ("bare", "deprivileged", "shadow", "two-stage")
ENDING = [info.name for info in images() if info.powers_off]


def compare(capsys, *arguments):
    status = main(["compare", *arguments, "--json", "-"])
    return status, json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def workload():
    """The whole comparison on the kernel's workload, made once."""
    from contextlib import redirect_stdout
    from io import StringIO

    out = StringIO()
    with redirect_stdout(out):
        assert main(["compare", "--json", "-"]) == 0
    return json.loads(out.getvalue())


def test_the_kernel_is_equivalent_over_fifty_million_steps(workload):
    assert workload["equivalent"] is True
    for name in TECHNIQUES:
        run = workload["techniques"][name]
        assert run["instructions"] >= 50_000_000
        assert run["steps"] == workload["techniques"]["bare"]["steps"]
        assert run["digest"] == workload["techniques"]["bare"]["digest"]
        assert run["stop"] == "power-off"
    assert workload["checkpoints"] >= 500


def test_two_stage_exits_least_and_deprivileged_most(workload):
    exits = {name: sum(workload["techniques"][name]["exits"].values()) for name in TECHNIQUES}
    assert exits["two-stage"] < exits["shadow"] < exits["deprivileged"]


def test_the_json_has_the_promised_keys(workload):
    assert workload["image"] == "kernel"
    for run in workload["techniques"].values():
        assert {"steps", "exits", "walk_reads", "tlb_misses", "seconds", "digest"} <= run.keys()


@pytest.mark.parametrize("name", [name for name in ENDING if name != "kernel"])
def test_every_guest_that_ends_is_equivalent(capsys, name):
    status, result = compare(capsys, name)
    assert result["equivalent"] is True, result["difference"]
    assert status == 0


@pytest.mark.parametrize("name", [info.name for info in images() if not info.powers_off])
def test_guests_that_never_end_are_equivalent_to_their_budget(capsys, name):
    status, result = compare(capsys, name, "--budget", "300000")
    assert result["equivalent"] is True, result["difference"]
    assert status == 0


def test_the_flushing_policy_is_equivalent_on_a_guest_that_fences(capsys):
    status, result = compare(capsys, "kernel", "--append", "workload=1", "--shadow-policy", "flush")
    assert status == 0 and result["equivalent"] is True


def test_two_comparisons_give_the_same_json_but_for_seconds(capsys):
    results = [compare(capsys, "churn")[1] for _ in range(2)]
    for result in results:
        for run in result["techniques"].values():
            run.pop("seconds")
    assert results[0] == results[1]


def test_a_difference_is_found_named_and_ends_in_status_1(capsys):
    # Without fences and with the policy that relies on them, shadow tables go stale: the techniques must part.
    status, result = compare(capsys, "kernel-nofence", "--append", "workload=1", "--shadow-policy", "flush",
                             "--budget", "20M")
    assert status == 1 and result["equivalent"] is False
    assert result["difference"]["fields"]


def test_the_table_shows_every_technique(capsys):
    assert main(["compare", "hello"]) == 0
    out = capsys.readouterr().out
    for name in TECHNIQUES:
        assert name in out
    assert "equivalent" in out
