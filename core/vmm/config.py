"""What a VM is made of, before it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ..errors import ConfigError
from ..machine.memory_map import MIB, MIN_MEMORY, PAGE_SIZE
from .exits import ExitHandler, InstructionHandler
from .guest_isa import GUEST_ISA, check_guest_isa
from .shadow_policy import POLICIES, ShadowPolicy
from .techniques import TECHNIQUES

if TYPE_CHECKING:
    from .techniques import Technique

MAX_MEMORY: Final = 64 << 30
"""Guest RAM ends well below 2**38, so that with satp=Bare a Sv39 shadow table reaches all of it."""

MAX_VCPUS: Final = 4

MIN_TABLE_SPACE: Final = 16 * MIB
"""Machine RAM kept for shadow and G-stage tables, at least."""


@dataclass(frozen=True)
class VmConfig:
    """A VM to be.

    technique: a name in TECHNIQUES, or a class like those. memory: bytes of guest RAM. append: the kernel's command
    line.
    steps_per_tick: mtime advances by one every so many steps. policy: a name in POLICIES, or a callable that makes a
    policy; only shadow paging looks at it. handlers: exception number to handler, instead of the technique's own.
    instruction_handlers: instruction name to handler, instead of the emulation. tlb: the hart's, "precise" or "stale".
    lends_csrs: the hart executes a deprivileged guest's commonest CSR instructions, counted as exits all the same.
    isa: the guest's extensions, a closed set. vcpus: its harts. initrd: the kernel's initial ramdisk.
    """

    technique: str | type[Technique] = "deprivileged"
    memory: int = 128 * MIB
    append: str = ""
    steps_per_tick: int = 10
    policy: str | Callable[[], ShadowPolicy] = "cached"
    handlers: Mapping[int, ExitHandler] = field(default_factory=dict)
    instruction_handlers: Mapping[str, InstructionHandler] = field(default_factory=dict)
    tlb: str = "precise"
    lends_csrs: bool = True
    isa: frozenset[str] = GUEST_ISA
    vcpus: int = 1
    initrd: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if self.memory % PAGE_SIZE or not MIN_MEMORY <= self.memory <= MAX_MEMORY:
            raise ConfigError(f"{self.memory} bytes of guest memory: it must be a multiple of {PAGE_SIZE} "
                              f"between {MIN_MEMORY >> 20} MiB and {MAX_MEMORY >> 20} MiB")
        if not 1 <= self.vcpus <= MAX_VCPUS:
            raise ConfigError(f"{self.vcpus} vCPUs: a VM has 1 to {MAX_VCPUS}")
        if self.steps_per_tick < 1:
            raise ConfigError(f"{self.steps_per_tick} steps a tick: it must be at least 1")
        if isinstance(self.technique, str) and self.technique not in TECHNIQUES:
            raise ConfigError(f"no technique {self.technique!r}; there are {', '.join(TECHNIQUES)}")
        if isinstance(self.policy, str) and self.policy not in POLICIES:
            raise ConfigError(f"no shadow policy {self.policy!r}; there are {', '.join(POLICIES)}")
        check_guest_isa(self.isa, self.technique_class.name)

    @property
    def technique_class(self) -> type[Technique]:
        """The technique's class."""
        return TECHNIQUES[self.technique] if isinstance(self.technique, str) else self.technique

    @property
    def table_space(self) -> int:
        """Bytes of machine RAM for shadow and G-stage tables."""
        return max(MIN_TABLE_SPACE, self.memory // 4)

    def make_policy(self) -> ShadowPolicy:
        """A policy of the VM's own."""
        return POLICIES[self.policy]() if isinstance(self.policy, str) else self.policy()
