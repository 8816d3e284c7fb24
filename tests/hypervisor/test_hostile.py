"""A hostile guest can end only itself: the well-behaved VM beside it does what it does alone, digest for digest."""

from __future__ import annotations

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.machine.loader import load_image
from hartvisor.core.machine.memory_map import MIB
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.hypervisor.tenant import TenantState
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image

from .audit import check
from .hostile import HOSTILE, Hostile
from .support import TECHNIQUES, add, machine
from .test_hypervisor import frames_are_accounted_for

KERNEL = load_image(image("kernel"))
STEPS = 1_200_000


def test_there_are_many_kinds() -> None:
    assert len(HOSTILE) >= 25


@pytest.mark.parametrize("technique", TECHNIQUES)
@pytest.mark.parametrize("kind", HOSTILE)
def test_it_ends_only_itself(kind: str, technique: str) -> None:
    hostile: Hostile = HOSTILE[kind]
    hypervisor = machine(48 * MIB, swap=16 * MIB, quantum=20_000)
    good = add(hypervisor, "good", KERNEL, technique, 16 * MIB, append="workload")
    twin = add(hypervisor, "twin", KERNEL, technique, 16 * MIB, append="workload")
    bad = add(hypervisor, "bad", hostile.image, technique, hostile.memory, hostile.devices())
    hypervisor.run(STEPS)
    assert frames_are_accounted_for(hypervisor)
    check(*(tenant.vm for tenant in hypervisor.living))
    assert bad.state is not TenantState.FAILED, bad.detail
    assert good.used == pytest.approx(twin.used, abs=40_000)
    assert good.used + twin.used >= STEPS * 0.6
    alone = Vm(VmConfig(technique=technique, memory=16 * MIB, append="workload"), KERNEL)
    alone.run(good.vm.steps)
    assert digest(good.vm) == digest(alone)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_host_s_own_mistake_costs_one_vm(technique: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hypervisor = machine()
    victim, other = add(hypervisor, "victim", technique=technique), add(hypervisor, "other")

    def stumble(budget: int) -> None:
        raise ZeroDivisionError("a mistake in the hypervisor")

    monkeypatch.setattr(victim.vm, "run", stumble)
    hypervisor.run(1_000_000)
    assert victim.state is TenantState.FAILED
    assert "ZeroDivisionError: a mistake in the hypervisor" in victim.detail
    assert other.used >= 900_000
    assert frames_are_accounted_for(hypervisor)
    with pytest.raises(ConfigError):
        hypervisor.find("nobody")
