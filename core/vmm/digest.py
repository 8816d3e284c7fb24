"""The oracle: one digest of everything a guest could see, equal under every technique after equal steps.

In it: registers, mode, S-mode CSRs, the reservation as a GPA, the clock, the timer's deadline, whether the vCPU sleeps,
all of guest RAM, and the devices' registers. Not in it: host frames, shadow and G-stage tables, translation caches,
exit counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from ..isa.paging import PAGE_SHIFT
from ..machine.board import CONSOLE
from ..machine.paged import ZERO_PAGE, DirtyLog
from .csr_file import CSR_NAMES

if TYPE_CHECKING:
    from .state import VmState
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
            term = _term(gfn, page) if page != ZERO_PAGE else 0
            self._sum += term - pages.pop(gfn, 0)
            if term:
                pages[gfn] = term
        self._sum %= _MODULUS
        return self._sum


def _term(gfn: int, page: bytes) -> int:
    """What a page that is not all zeros adds."""
    name = (gfn << PAGE_SHIFT).to_bytes(8, "little")
    return int.from_bytes(hashlib.blake2b(name + page, digest_size=_DIGEST_SIZE).digest(), "little")


def visible_state(state: VmState) -> dict[str, str]:
    """Everything in the digest but RAM, by name, in words: what a report of a difference prints."""
    fields: dict[str, str] = {}
    for index, vcpu in enumerate(state.vcpus):
        prefix = f"hart{index}."
        fields[prefix + "pc"] = f"{vcpu.pc:#x}"
        fields[prefix + "mode"] = "S" if vcpu.mode else "U"
        for number, value in enumerate(vcpu.gprs):
            fields[f"{prefix}x{number}"] = f"{value:#x}"
        for number, value in enumerate(vcpu.fprs):
            fields[f"{prefix}f{number}"] = f"{value:#x}"
        fields[prefix + "fcsr"] = f"{vcpu.fcsr:#x}"
        for number, value in sorted(vcpu.csrs.items()):
            fields[prefix + CSR_NAMES[number]] = f"{value:#x}"
        for name in ("steps", "idle_steps", "guest_traps", "deadline", "reservation", "is_waiting", "is_stopped",
                     "is_suspended", "updates_ad", "pmu"):
            fields[prefix + name] = str(getattr(vcpu, name))
        fields[prefix + "locked_features"] = str(sorted(vcpu.locked_features))
    for device, saved in state.board.items():
        for name, part in sorted(saved.items()):
            # Of the console the guest sees what waits for it, not what its user has yet to be asked for.
            if device != CONSOLE or name == "typed":
                fields[f"{device}.{name}"] = part.hex() if isinstance(part, bytes) else f"{part:#x}"
    fields["power"] = "on" if state.power_off is None else "off"
    return fields


def digest(vm: Vm) -> str:
    """The digest of the guest-visible state, 32 hex digits."""
    if vm.memory_digest is None:
        vm.memory_digest = MemoryDigest(vm)
    return _digest(vm.save(), vm.memory_digest.update())


def digest_of(state: VmState, pages: Mapping[int, bytes]) -> str:
    """The same of a state that is no VM's at present. pages: of its RAM, those that are not all zeros."""
    return _digest(state, sum(_term(gfn, page) for gfn, page in pages.items()) % _MODULUS)


def _digest(state: VmState, ram: int) -> str:
    text = "\n".join(f"{name}={value}" for name, value in visible_state(state).items())
    whole = hashlib.blake2b(text.encode() + ram.to_bytes(_DIGEST_SIZE, "little"), digest_size=_DIGEST_SIZE)
    return whole.hexdigest()
