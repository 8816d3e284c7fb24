"""`compare`: the numbers it reports, and that it finds a technique that is not equal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm import compare as module
from hartvisor.core.vmm.compare import COMPARED, compare
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.csr_file import SIE
from hartvisor.core.vmm.exits import HANDLED
from hartvisor.core.vmm.traps import retire
from hartvisor.core.vmm.vcpu import Vcpu
from hartvisor.guest import image, image_info

from .support import MEMORY, guest

SMALL = VmConfig(memory=MEMORY)


def without_seconds(report: Any) -> str:
    if isinstance(report, dict):
        report = {key: json.loads(without_seconds(value)) for key, value in report.items() if key != "seconds"}
    return json.dumps(report)


def test_reports_what_the_issue_asks_for_and_the_same_each_time() -> None:
    program = load_image(image("exits"))
    reports = [compare(program, checkpoint_steps=20_000).as_json() for _ in range(2)]
    assert reports[0]["equivalent"] is True
    assert list(reports[0]["techniques"]) == list(COMPARED)
    for run in reports[0]["techniques"].values():
        assert {"steps", "exits", "walk_reads", "tlb_misses", "seconds", "digest"} <= run.keys()
        assert run["exits_total"] == sum(run["exits"].values())
    assert without_seconds(reports[0]) == without_seconds(reports[1])


def test_a_budget_ends_every_run() -> None:
    result = compare(guest("j ."), SMALL, budget=2_500, checkpoint_steps=1_000)
    assert result.equivalent
    assert [run.stop.steps for run in result.runs.values()] == [2_500] * 4
    assert [len(run.digests) for run in result.runs.values()] == [3] * 4


def test_progress_is_told_at_every_checkpoint() -> None:
    told: list[tuple[str, int]] = []
    compare(guest("j ."), SMALL, budget=200, checkpoint_steps=100,
            progress=lambda name, steps: told.append((name, steps)))
    assert told == [(name, steps) for name in COMPARED for steps in (100, 200)]


def test_the_first_step_that_differs_is_found_and_named() -> None:
    """A VMM that forgets one kind of instruction's effect: the first csrw of the loop is at step 3001."""

    def forget(vcpu: Vcpu, instruction: object) -> bool:
        retire(vcpu)
        return HANDLED

    program = "li t0, 1500\n loop: addi t0, t0, -1\n bnez t0, loop\n li t1, 0x222\n csrw sie, t1\n csrw stval, t1\n j ."
    result = compare(guest(program), VmConfig(memory=MEMORY, instruction_handlers={"csrrw": forget}), budget=20_000,
                     checkpoint_steps=5_000)
    assert not result.equivalent
    difference = result.difference
    assert difference is not None
    assert difference.techniques == ("bare", "deprivileged")
    assert difference.step == 3002
    assert difference.fields == {"hart0.sie": ("0x222", "0x0")}
    assert SIE == 0x104


def test_of_several_vcpus_those_that_parted_are_named() -> None:
    """And counts are of all vCPUs together, with each one's own beside them."""

    def forget(vcpu: Vcpu, instruction: object) -> bool:
        retire(vcpu)
        return HANDLED

    program = """
    bnez a0, second
    li a7, 0x48534d         # HSM: start the second
    li a6, 0
    li a0, 1
    la a1, second
    ecall
    j .
second:
    li t1, 0x222
    csrw sie, t1
    j .
    """
    config = VmConfig(memory=MEMORY, instruction_handlers={"csrrw": forget}, vcpus=2)
    result = compare(guest(program), config, budget=60_000, checkpoint_steps=20_000, techniques=COMPARED[:2])
    assert result.difference is not None
    assert result.difference.vcpus == [1]
    assert result.difference.fields == {"hart1.sie": ("0x222", "0x0")}
    run = result.runs["deprivileged"]
    assert sum(vcpu["steps"] for vcpu in run.facts["vcpus"]) == run.stop.steps
    assert [vcpu["exits"].get("csr", 0) for vcpu in run.facts["vcpus"]] == [0, 1]
    assert run.exits["csr"] == 1


def test_a_difference_in_memory_names_page_and_doubleword() -> None:
    def forget(vcpu: Vcpu, instruction: object) -> bool:
        vcpu.hart.write_gpr(6, 9)
        retire(vcpu)
        return HANDLED

    program = "csrr t1, sscratch\n li t0, 0x80300010\n sd t1, 0(t0)\n li t1, 0\n j ."
    result = compare(guest(program), VmConfig(memory=MEMORY, instruction_handlers={"csrrs": forget}), budget=100,
                     checkpoint_steps=50)
    assert result.difference is not None
    assert result.difference.step == 0
    assert result.difference.fields == {"hart0.x6": ("0x0", "0x9")}
    configs = [VmConfig(technique=name, memory=MEMORY) for name in ("bare", "shadow")]
    vms = [module._start(guest(program), config, b"", tuple) for config in configs]
    vms[1].ram.store(0x80300010, 8, 9)
    assert module.difference_of(*vms) == {"page 0x80300000": ("+0x10: 0x0000000000000000", "+0x10: 0x0000000000000009")}


@pytest.mark.parametrize("name", ["kernel", "kernel-nofence"])
def test_the_teaching_kernels_workload(name: str) -> None:
    info = image_info(name)
    result = compare(load_image(info.path), VmConfig(append=info.workload))
    assert result.equivalent, result.difference
    steps = {run.stop.steps for run in result.runs.values()}
    assert steps.pop() >= 50_000_000
    exits = {name: sum(run.exits.values()) for name, run in result.runs.items()}
    assert exits["two-stage"] < exits["shadow"] < exits["deprivileged"]


def test_a_hart_with_stale_translations_shows_missing_fences() -> None:
    """`--tlb stale`: a kernel that fences runs as ever, under the hypervisor too, which fences what it changes."""
    budget = 5_000_000
    for name, is_affected in (("kernel", False), ("kernel-nofence", True)):
        info = image_info(name)
        config = VmConfig(append=info.workload, tlb="stale")
        precise = compare(load_image(info.path), VmConfig(append=info.workload), budget=budget, techniques=["bare"])
        stale = compare(load_image(info.path), config, budget=budget, techniques=["bare", "deprivileged", "shadow"])
        digest = precise.runs["bare"].digests[-1]
        assert (stale.runs["bare"].digests[-1] != digest) is is_affected
        assert stale.runs["shadow"].digests[-1] == stale.runs["deprivileged"].digests[-1] == digest
