"""The oracle: one digest of everything a guest could see, equal under every technique after equal steps.

In it: registers, mode, S-mode CSRs, the reservation as a GPA, the clock, the timer's deadline, whether the vCPU sleeps,
all of guest RAM, and the devices' registers. Not in it: host frames, shadow and G-stage tables, translation caches,
exit counts.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from ..isa.paging import PAGE_SHIFT
from ..machine.paged import ZERO_PAGE, DirtyLog
from .csr_file import CSR_NAMES

if TYPE_CHECKING:
    from .vm import Vm

_DIGEST_SIZE: Final = 16
_MODULUS: Final = 1 << 8 * _DIGEST_SIZE


class MemoryDigest:
    """The digest of a VM's RAM: the sum, modulo 2**128, of blake2b-128(gpa || page) over the pages not all zeros.

    A sum can be kept up to date page by page, so a digest costs what was stored since the last one. It takes the
    machine's dirty
    marks: one such object a VM.
    """

    def __init__(self, vm: Vm) -> None:
        self._ram = vm.ram
        self.pages: dict[int, int] = {}
        self._sum = 0

    def update(self) -> int:
        """Take in what changed, and return the sum. pages: the term of each gfn that is not all zeros."""
        ram, pages = self._ram, self.pages
        for gfn in ram.take_dirty(DirtyLog.DIGEST):
            page = ram.page(gfn)
            term = 0
            if page != ZERO_PAGE:
                name = (gfn << PAGE_SHIFT).to_bytes(8, "little")
                term = int.from_bytes(hashlib.blake2b(name + page, digest_size=_DIGEST_SIZE).digest(), "little")
            self._sum += term - pages.pop(gfn, 0)
            if term:
                pages[gfn] = term
        self._sum %= _MODULUS
        return self._sum


def visible_state(vm: Vm) -> dict[str, str]:
    """Everything in the digest but RAM, by name, in words: what a report of a difference prints."""
    fields: dict[str, str] = {}
    for vcpu in vm.vcpus:
        state = vcpu.save()
        prefix = f"hart{vcpu.index}."
        fields[prefix + "pc"] = f"{state.pc:#x}"
        fields[prefix + "mode"] = "S" if state.mode else "U"
        for index, value in enumerate(state.gprs):
            fields[f"{prefix}x{index}"] = f"{value:#x}"
        for index, value in enumerate(state.fprs):
            fields[f"{prefix}f{index}"] = f"{value:#x}"
        fields[prefix + "fcsr"] = f"{state.fcsr:#x}"
        for number, value in sorted(state.csrs.items()):
            fields[prefix + CSR_NAMES[number]] = f"{value:#x}"
        for name in ("steps", "idle_steps", "guest_traps", "deadline", "reservation", "is_waiting", "is_stopped",
                     "is_suspended", "updates_ad", "pmu"):
            fields[prefix + name] = str(getattr(state, name))
        fields[prefix + "locked_features"] = str(sorted(state.locked_features))
    for region, device in vm.bus.slots:
        for name, saved in sorted(device.save().items()):
            fields[f"{region.name}.{name}"] = saved.hex() if isinstance(saved, bytes) else f"{saved:#x}"
    fields["console.typed"] = bytes(vm.console.save()["typed"]).hex()
    fields["power"] = "off" if vm.is_off else "on"
    return fields


def digest(vm: Vm) -> str:
    """The digest of the guest-visible state, 32 hex digits."""
    if vm.memory_digest is None:
        vm.memory_digest = MemoryDigest(vm)
    ram = vm.memory_digest.update()
    text = "\n".join(f"{name}={value}" for name, value in visible_state(vm).items())
    whole = hashlib.blake2b(text.encode() + ram.to_bytes(_DIGEST_SIZE, "little"), digest_size=_DIGEST_SIZE)
    return whole.hexdigest()
