"""Lab 6: the reference answer."""

from __future__ import annotations

from dataclasses import dataclass, field

from hartvisor.labs.kit.multiplex import HashedPage, SharedFrames, VmMemory

STRIDE1 = 1 << 40


@dataclass
class Client:
    """A VM. place: its pass while it is awake; while it sleeps, how far it is ahead of everybody's."""

    shares: int
    place: int = 0
    is_awake: bool = False


class Scheduler:
    """Stride scheduling: who has had least for its shares is next."""

    def __init__(self) -> None:
        self.clients: dict[int, Client] = {}
        self.everybodys = 0

    def add(self, client: int, shares: int) -> None:
        """A VM, which sleeps as yet."""
        self.clients[client] = Client(shares)

    def remove(self, client: int) -> None:
        """It is no more."""
        del self.clients[client]

    def set_shares(self, client: int, shares: int) -> None:
        """What it is ahead is worth as many steps as before."""
        one = self.clients[client]
        base = self.everybodys if one.is_awake else 0
        one.place = base + (one.place - base) * one.shares // shares
        one.shares = shares

    def wake(self, client: int) -> None:
        """It goes on where everybody is; what it owed, it owes still."""
        one = self.clients[client]
        if not one.is_awake:
            one.is_awake = True
            one.place += self.everybodys

    def sleep(self, client: int) -> None:
        """What it is ahead stays; what it is behind is lost: time cannot be saved up."""
        one = self.clients[client]
        if one.is_awake:
            one.is_awake = False
            one.place = max(one.place - self.everybodys, 0)

    def pick_next(self, runnable: list[int]) -> int:
        """The least pass."""
        return min(runnable, key=lambda client: (self.clients[client].place, client))

    def charge(self, client: int, steps: int) -> None:
        """Its pass moves on by its stride a step, everybody's by that of all that are awake."""
        one = self.clients[client]
        one.place += steps * STRIDE1 // one.shares
        if not one.is_awake:
            one.place = max(one.place, 0)
        awake = sum(each.shares for each in self.clients.values() if each.is_awake)
        self.everybodys += steps * STRIDE1 // (awake or one.shares)


@dataclass
class Kind:
    """Pages that hold the same: the frames that there are of them, each with the VMs that it backs a page of."""

    frames: dict[int, set[int]] = field(default_factory=dict)


class Memory:
    """Who gives memory, and who shares it."""

    def use(self, host: SharedFrames) -> None:
        """The machine's frames."""
        self.host = host

    def balloon_target(self, vms: list[VmMemory], free: int, low: int, high: int) -> list[int]:
        """Page by page: from who has most for its shares, or back to who has least."""
        targets = [vm.balloon for vm in vms]

        def worth(index: int) -> float:
            return (vms[index].pages - targets[index]) / vms[index].shares

        while free < low:
            givers = [index for index, vm in enumerate(vms) if vm.pages - targets[index] > vm.reservation]
            if not givers:
                break
            targets[max(givers, key=worth)] += 1
            free += 1
        while free > high:
            takers = [index for index in range(len(vms)) if targets[index] > 0]
            if not takers:
                break
            targets[min(takers, key=worth)] -= 1
            free -= 1
        return targets

    def share_pages(self, pages: list[HashedPage]) -> None:
        """One frame of each kind is compared with; a page joins the first frame of its kind that has none of its VM."""
        users: dict[int, set[int]] = {}
        for page in pages:
            users.setdefault(page.frame, set()).add(page.vm)
        kinds: dict[int, list[Kind]] = {}
        done: set[int] = set()
        for page in sorted(pages, key=lambda page: len(users[page.frame]) == 1):
            if page.frame in done:
                continue
            done.add(page.frame)
            kind = self.kind_of(page, kinds.setdefault(page.hash, []))
            place = next((frame for frame, vms in kind.frames.items() if page.vm not in vms), None)
            if place is None or len(users[page.frame]) > 1:
                kind.frames[page.frame] = users[page.frame]
            else:
                self.host.join(page.vm, page.gfn, place)
                kind.frames[place].add(page.vm)

    def kind_of(self, page: HashedPage, known: list[Kind]) -> Kind:
        """The kind that it is of; a new one if it is of none that is known."""
        for kind in known:
            if self.host.equal(page.frame, next(iter(kind.frames))):
                return kind
        known.append(Kind())
        return known[-1]
