"""What a technique sets up that decides whether something exits.

It is read off a hart that the technique itself has made ready, so no setting is written down a second time here; what
of it is the guest's own (scounteren, senvcfg, FS) is put in from the guest that is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ....isa.csrs import BY_NAME
from ....machine.memory_map import MIN_MEMORY
from ...config import VmConfig
from ...csr_file import SCOUNTEREN, SENVCFG, SSTATUS, SSTATUS_FS, field_mask
from ...techniques.hosted import environment_of
from ...vm import Vm
from ...walker import USER

if TYPE_CHECKING:
    from ...techniques import Technique
    from ...vcpu import Vcpu

TECHNIQUES: Final = ("deprivileged", "shadow", "two-stage")
"""Those that virtualize."""

_SETTINGS: Final = ("mstatus", "mcounteren", "menvcfg", "scounteren", "senvcfg", "hstatus", "hedeleg", "hcounteren",
                    "henvcfg", "vsstatus", *(f"{level}stateen{i}" for level in "mh" for i in range(4)))


@dataclass(frozen=True)
class World:
    """The hart as a guest under a technique finds it.

    is_virtual: the guest runs with V=1. is_shadowed: what the hart walks are tables of the hypervisor's, else the
    guest's own over a second stage. isa: the hart's extensions. csrs: the settings, by name.
    """

    technique: str
    is_virtual: bool
    is_shadowed: bool
    isa: frozenset[str]
    csrs: Mapping[str, int]

    def mode(self, guest_mode: int) -> str:
        """The mode that the hart is in while the guest believes to be in `guest_mode`."""
        if not self.is_virtual:
            return "U"
        return "VU" if guest_mode == USER else "VS"

    def field(self, name: str) -> int:
        """The value of a field, such as "hstatus.VTVM"."""
        csr, _, field = name.partition(".")
        mask = field_mask(csr, field)
        return (self.csrs[csr] & mask) // (mask & -mask)

    def delegates(self, cause: int) -> bool:
        """Whether the hart takes an exception straight to the guest's S-mode."""
        return self.is_virtual and bool(self.csrs["hedeleg"] >> cause & 1)


@lru_cache(maxsize=32)
def _made_ready(technique: str | type[Technique], isa: frozenset[str]) -> World:
    vm = Vm(VmConfig(technique=technique, memory=MIN_MEMORY, isa=isa), None)
    made = vm.vcpus[0].technique
    made.enter_world()
    hart = vm.hart
    rows = [BY_NAME[name] for name in _SETTINGS]
    return World(made.name, hart.virtual, made.pager_stats is not None, hart.isa,
                 {row.name: hart.read_csr(row.number) if row.exists_in(hart.isa) else 0 for row in rows})


def world_of(vcpu: Vcpu, technique: str | type[Technique] | None = None) -> World:
    """The world of a vCPU as it is now, or as it would be under another technique. Raises ConfigError for a technique
    that cannot run this guest, because it cannot hide from it what it shall not have."""
    config = vcpu.vm.config
    world = _made_ready(config.technique if technique is None else technique, config.isa)
    csrs, status = dict(world.csrs), vcpu.csrs.read(SSTATUS)
    csrs["senvcfg"] = vcpu.csrs.read(SENVCFG)
    if world.is_virtual:
        csrs["scounteren"] = vcpu.csrs.read(SCOUNTEREN)
        csrs["vsstatus"] = status
    else:
        if vcpu.mode != USER:  # its kernel, in U-mode too, has all that is open to it
            csrs["senvcfg"] = environment_of(config.isa) & BY_NAME["senvcfg"].write_mask
        if "F" in config.isa:
            csrs["mstatus"] = csrs["mstatus"] & ~SSTATUS_FS | status & SSTATUS_FS
    return World(world.technique, world.is_virtual, world.is_shadowed, world.isa, csrs)
