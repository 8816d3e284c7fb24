"""Networks between VMs: a switch each, and what keeps the clocks of those that can reach each other close enough.

A frame arrives a latency after it was sent, by the receiver's clock as by the sender's. That can be had only if
nobody's clock is ahead of anybody's by more than the latency: VMs on a network go in lookahead steps (Chandy & Misra
1979). The time before which nobody can send any more is the least of all clocks, where one asleep counts as far as it
will sleep; until a latency after it everybody may run, and nothing sent meanwhile can be too late for anyone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, NamedTuple

from ...devices.network.capture import Capture
from ...devices.network.switch import Switch, SwitchPort
from ...devices.network.wire import Wire
from ...devices.virtio.net import VirtioNet
from ...machine.network import TICKS_PER_MICROSECOND
from ..state import NEVER
from .tenant import Tenant, TenantState

LATENCY: Final = 500
"""Microseconds that a frame takes, if nothing else is said."""


class Lan:
    """A network by its name. latency: microseconds. capture: of every frame on it, once."""

    def __init__(self, name: str, latency: int = LATENCY, capture: Capture | None = None) -> None:
        self.name = name
        self.latency = latency
        self.switch = Switch(capture)

    def make_card(self, mac: bytes, capture: Capture | None = None) -> VirtioNet:
        """A card that is plugged into it, for a VM that is yet to be made."""
        return VirtioNet(Wire(self.switch.add_port(), capture), mac)

    def close(self) -> None:
        """End the capture."""
        self.switch.close()


class Plug(NamedTuple):
    """A VM's card in a network: the virtio slot of the card, and its port of the switch."""

    member: Member
    lan: Lan
    slot: int
    port: SwitchPort


class Member:
    """A VM on networks. offset: the networks' time, in ticks, at which its own clock began. rate: its steps a tick."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.offset = 0
        self.rate = tenant.vm.steps_per_tick * tenant.config.vm.vcpus
        self.lans: list[Lan] = []

    @property
    def time(self) -> int:
        """The networks' time at which it is."""
        return self.offset + self.tenant.vm.steps // self.rate

    @property
    def earliest(self) -> int:
        """The networks' time before which it cannot send."""
        nap = self.tenant.vm.nap
        return NEVER if nap == NEVER else self.offset + (self.tenant.vm.steps + nap) // self.rate

    @property
    def is_going(self) -> bool:
        """Whether its clock goes: others then wait for it."""
        return self.tenant.state is TenantState.RUNNING


class Lans:
    """All networks of a hypervisor; a barrier. networks: by name. clock: gives the machine's time."""

    def __init__(self, networks: Iterable[Lan], clock: Callable[[], int]) -> None:
        self.networks = {lan.name: lan for lan in networks}
        self._members: list[Member] = []
        self._plugs: dict[SwitchPort, Plug] = {}
        self._clock = clock

    def connect(self, tenant: Tenant) -> None:
        """A VM is there now, and some of its cards may be plugged into networks of these."""
        member = Member(tenant)
        ports = {port: lan for lan in self.networks.values() for port in lan.switch.ports}
        for slot, wire in tenant.vm.network.wires.items():
            if isinstance(wire.peer, SwitchPort) and wire.peer in ports:
                wire.peer.clock = partial(_steps_of, tenant)
                lan = ports[wire.peer]
                self._plugs[wire.peer] = Plug(member, lan, slot, wire.peer)
                member.lans.append(lan)
        if member.lans:
            self._members.append(member)

    def groups(self) -> list[tuple[list[Member], list[Lan]]]:
        """The VMs that can reach each other, over whatever networks and VMs in between, and these networks."""
        groups: list[tuple[list[Member], list[Lan]]] = []
        for member in self._members:
            if member.tenant.is_over:
                continue
            members, lans = [member], list(member.lans)
            for group in [group for group in groups if any(lan in group[1] for lan in lans)]:
                groups.remove(group)
                members = group[0] + members
                lans += [lan for lan in group[1] if lan not in lans]
            groups.append((members, lans))
        return groups

    # --- the barrier

    def before_round(self) -> None:
        """How far each clock may go: as far as nothing that may yet be sent could be too late."""
        for members, lans in self.groups():
            going = [member for member in members if member.is_going]
            if not going:
                continue
            now = min(member.earliest for member in going)
            if now == NEVER:  # all sleep for good
                now = max(member.time for member in going)
            lookahead = min(lan.latency for lan in lans) * TICKS_PER_MICROSECOND
            for member in members:
                if not member.is_going:  # its clock stands; when it goes on, it is where the others are
                    member.offset = max(member.offset, now - member.tenant.vm.steps // member.rate)
                member.tenant.bound = max((now + lookahead - member.offset) * member.rate, 0)

    def after_round(self) -> None:
        """Hand on what was sent, in the order of its time, then of the VMs."""
        sent = []
        for port, plug in self._plugs.items():
            member = plug.member
            for number, (clock, frame) in enumerate(port.take()):
                time = member.offset + clock // member.rate
                sent.append((time, member.tenant.index, plug.slot, number, plug, frame))
        woken: dict[Tenant, None] = {}
        for time, _, _, _, plug, frame in sorted(sent, key=lambda item: item[:4]):
            for port in plug.lan.switch.forward(plug.port.number, frame, time // TICKS_PER_MICROSECOND):
                receiver = self._plugs.get(port)
                if receiver is not None and not receiver.member.tenant.is_over:
                    self._hand(receiver, frame, time + plug.lan.latency * TICKS_PER_MICROSECOND)
                    woken[receiver.member.tenant] = None
        for tenant in woken:
            tenant.look_again(self._clock())

    def _hand(self, plug: Plug, frame: bytes, time: int) -> None:
        vm, member, counters = plug.member.tenant.vm, plug.member, plug.port.counters
        due = max((time - member.offset) * member.rate, vm.steps)
        if vm.network.post(plug.slot, frame, due):
            counters.received_frames += 1
            counters.received_bytes += len(frame)
        else:
            counters.dropped += 1

    def close(self) -> None:
        """End all captures."""
        for lan in self.networks.values():
            lan.close()


def _steps_of(tenant: Tenant) -> int:
    return tenant.vm.steps
