"""What the rest of the hypervisor asks of a technique."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ...hart import Hart
    from ..csr_file import Csrs
    from ..observer import Observer
    from ..shadow_pages import PagerStats
    from ..vcpu import Vcpu
    from ..vm import Vm


class Technique(Protocol):
    """One way to run a vCPU on the machine's hart.

    name: as options and tables have it. has_h, hosts: the hart it needs (misa.H, HOST_* bits). owns_frames: guest RAM
    comes from the machine's frames on demand (else guest RAM is the machine's RAM, each GPA its own HPA).
    hart: the one that runs the vCPU. peer: the technique of the VM's first vCPU, with which the others share the tables
    that translate guest-physical addresses.
    csrs: the guest's S-mode CSRs. mode: the guest's privilege mode. mode_is_harts: it is the hart's too.
    pager_stats: what shadow paging cost, None without it. observer: told of entries and exits while it is set.
    """

    name: str
    has_h: bool
    hosts: int
    owns_frames: bool
    mode_is_harts: bool
    observer: Observer | None

    def __init__(self, vm: Vm, hart: Hart, peer: Technique | None = None) -> None: ...

    @property
    def csrs(self) -> Csrs: ...

    @property
    def pager_stats(self) -> PagerStats | None: ...

    @property
    def mode(self) -> int: ...

    @mode.setter
    def mode(self, mode: int) -> None: ...

    def attach(self, vcpu: Vcpu) -> None:
        """The vCPU that runs here; called once."""

    def enter_world(self) -> None:
        """Set up the hart for this VM's guest: delegation, counters, traps, address translation."""

    def arm(self, deadline: int) -> None:
        """The virtual timer's deadline was set."""

    def set_ad_updating(self, on: bool) -> None:
        """The guest's page-table walks set A and D from now on, or no longer (Svadu)."""

    def take_turn(self) -> None:
        """Called before `run` when another vCPU has run since."""

    def run(self, limit: int) -> None:
        """Run the vCPU until its clock shows `limit` steps, or the VM needs attention (`vm.needs_attention`)."""

    def forget_frame(self, gfn: int) -> None:
        """The guest frame is about to lose its host frame: no translation of any vCPU may lead there."""

    def fence(self, gva: int | None, asid: int | None) -> None:
        """The guest's sfence.vma: None stands for every address, every address space."""
