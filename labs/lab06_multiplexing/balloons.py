"""Whose pages a balloon takes, said once more: min-funding revocation (Waldspurger, ESX 2002), a page at a time."""

from __future__ import annotations

from collections.abc import Sequence

from ..kit.multiplex import VmMemory


def balloon_targets(vms: Sequence[VmMemory], free: int, low: int, high: int) -> list[int]:
    """What is right: page by page, from who has most for its shares, or to who has least."""
    targets = [vm.balloon for vm in vms]

    def worth(index: int) -> float:
        return (vms[index].pages - targets[index]) / vms[index].shares

    while free < low:
        able = [index for index, vm in enumerate(vms) if vm.pages - targets[index] > vm.reservation]
        if not able:
            break
        targets[max(able, key=lambda index: (worth(index), -index))] += 1
        free += 1
    while free > high:
        able = [index for index in range(len(vms)) if targets[index]]
        if not able:
            break
        targets[min(able, key=lambda index: (worth(index), index))] -= 1
        free -= 1
    return targets
