"""A plan brought to life: its VMs are made and started in their order, and what they had is closed when they end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from ...core.devices.network.capture import Capture
from ...core.devices.network.echo_host import EchoHost
from ...core.devices.network.nat import NatPeer
from ...core.devices.network.wire import Wire
from ...core.devices.virtio.balloon import PAGE_SHIFT, VirtioBalloon
from ...core.devices.virtio.block import VirtioBlock
from ...core.devices.virtio.device import VirtioDevice
from ...core.devices.virtio.net import VirtioNet
from ...core.devices.virtio.overlay import create_overlay, open_disk
from ...core.devices.virtio.p9 import VirtioP9
from ...core.devices.virtio.p9_folder import Folder
from ...core.devices.virtio.rng import VirtioRng
from ...core.errors import ConfigError, HartvisorError
from ...core.machine.boot import read_files
from ...core.machine.loader import Image, load_image
from ...core.vmm.hypervisor.console_log import ConsoleLog
from ...core.vmm.hypervisor.hypervisor import Hypervisor
from ...core.vmm.hypervisor.lan import Lan, Lans
from ...core.vmm.hypervisor.runner import Runner
from ...core.vmm.hypervisor.tenant import Tenant, TenantConfig, TenantState
from ...core.vmm.recipe import Recipe, note_cards
from ..options import find_image
from .outsides import Outsides
from .spec import ECHO, USER, CardSpec, DiskSpec, Plan, VmSpec

_read_initrd = cache(read_files)

Say = Callable[[str], None]
"""Tells the user a line."""


@cache
def _load(path: Path) -> Image:
    return load_image(path)


@dataclass
class Started:
    """A VM of the plan that has been started. refusal: why it was not."""

    spec: VmSpec
    index: int
    console: ConsoleLog
    tenant: Tenant | None = None
    refusal: str | None = None
    devices: list[VirtioDevice] = field(default_factory=list)
    closing: ExitStack = field(default_factory=ExitStack)

    @property
    def is_up(self) -> bool:
        """Whether those of greater order need not wait for it any more."""
        if self.tenant is None or self.tenant.is_over or self.tenant.state is TenantState.CRASHED:
            return True
        return self.console.is_ready


class Assembly:
    """The machine that a plan declares, its networks, and its VMs as they are started; a barrier of its hypervisor.

    say: told what the user should know, such as why a VM was refused. consoles: by VM, from the start.
    """

    def __init__(self, plan: Plan, runner: Runner, say: Say) -> None:
        self.plan = plan
        self.hypervisor = Hypervisor(plan.machine, runner)
        self._say = say
        self._closing = ExitStack()
        self.lans = Lans([self._make_lan(spec.name, spec.latency, spec.capture) for spec in plan.networks],
                         lambda: self.hypervisor.clock)
        self._closing.callback(self.lans.close)
        self.outsides = Outsides(lambda: self.hypervisor.clock)
        self.started: list[Started] = []
        self._pending = sorted(enumerate(plan.vms), key=lambda item: (item[1].order, item[0]))
        self.consoles = {spec.name: ConsoleLog(None, spec.ready) for spec in plan.vms}
        self.hypervisor.barriers += [self.lans, self]

    def _make_lan(self, name: str, latency: int, capture: Path | None) -> Lan:
        return Lan(name, latency, Capture(capture) if capture is not None else None)

    @property
    def pending(self) -> list[str]:
        """The VMs that wait for others to be up."""
        return [spec.name for _, spec in self._pending]

    # --- the barrier

    def before_round(self) -> None:
        """Start those whose turn it is, and close what ended VMs had."""
        for started in self.started:
            if started.tenant is not None and started.tenant.is_over:
                self._close(started)
        while self._pending:
            order = self._pending[0][1].order
            if not all(started.is_up for started in self.started if started.spec.order < order):
                return
            self._start(*self._pending.pop(0))

    def after_round(self) -> None:
        """Nothing: what has ended is closed before the next."""

    def _start(self, index: int, spec: VmSpec) -> None:
        started = Started(spec, index, self.consoles[spec.name])
        self.started.append(started)
        try:
            if spec.console is not None:
                started.console = self.consoles[spec.name] = _with_file(started.console, spec)
            started.closing.callback(started.console.close)
            started.tenant = self._make(spec, started)
        except HartvisorError as error:
            started.refusal = str(error)
            self.hypervisor.refused[spec.name] = str(error)
            self._close(started)
            self._say(str(spec.table.error(None, f"{spec.name} is refused: {error}")))

    def _make(self, spec: VmSpec, started: Started) -> Tenant:
        devices = started.devices

        def add(device: VirtioDevice) -> None:
            devices.append(device)
            started.closing.callback(device.close)

        for disk in spec.disks:
            add(_open_disk(disk))
        for number, card in enumerate(spec.cards):
            add(self._open_card(card, started.index, number))
        for folder in spec.folders:
            add(VirtioP9(Folder(folder.path, is_read_only=folder.is_read_only), folder.tag))
        if spec.has_rng:
            add(VirtioRng(spec.name.encode()))
        if spec.balloon is not None:
            balloon = VirtioBalloon()
            balloon.target = spec.balloon >> PAGE_SHIFT
            add(balloon)
        path, _ = find_image(spec.image)
        config = replace(spec.config, initrd=_read_initrd(spec.initrd))
        tenant = self.hypervisor.add(TenantConfig(
            spec.name, config, _load(path), devices, started.console.write, spec.cpu, spec.memory_shares,
            spec.memory_reservation, spec.is_balloon_ours))
        typed = [spec.input.encode()] if spec.input else []
        tenant.vm.console.refill = lambda: typed.pop() if typed else b""
        self.lans.connect(tenant)
        self.outsides.connect(tenant)
        return tenant

    def _open_card(self, card: CardSpec, index: int, number: int) -> VirtioNet:
        mac = card.mac or b"\x52\x54\x01" + index.to_bytes(2, "big") + bytes((number,))
        capture = Capture(card.capture) if card.capture is not None else None
        if card.network == ECHO:
            return VirtioNet(Wire(EchoHost(), capture), mac)
        if card.network == USER:
            return VirtioNet(Wire(NatPeer(card.forwards), capture), mac)
        return self.lans.networks[card.network].make_card(mac, capture)

    def _close(self, started: Started) -> None:
        try:
            started.closing.close()
        except OSError as error:
            self._say(f"{started.spec.name}: closing its files: {error.strerror}")

    def recipe(self, name: str) -> Recipe:
        """What the VM is made of, for a snapshot or a migration. Raises ConfigError where it has more than that."""
        spec = next(spec for spec in self.plan.vms if spec.name == name)
        is_outside = any(card.network == USER for card in spec.cards)
        if spec.disks or spec.folders or spec.has_rng or spec.balloon is not None or is_outside:
            raise ConfigError(f"{name}: a snapshot holds no disks that it writes to, folders, rng, balloon or card on "
                              "the host's networks, and a migration none either; its plan gives it some")
        started = next(started for started in self.started if started.spec is spec)
        path, _ = find_image(spec.image)
        cards = note_cards(started.devices)
        return Recipe.of(spec.image, spec.config, path, spec.initrd, (), cards)

    # --- the end

    def close(self) -> None:
        """Close everything; disks are flushed."""
        for started in self.started:
            self._close(started)
        self._closing.close()
        self.hypervisor.runner.close()

    def result(self) -> dict[str, Any]:
        """As the hypervisor's, with the VMs in the plan's order, and the networks."""
        result = self.hypervisor.result()
        order = {spec.name: index for index, spec in enumerate(self.plan.vms)}
        result["vms"].sort(key=lambda vm: order[vm["name"]])
        for vm in result["vms"]:
            vm["console_bytes"] = self.consoles[vm["name"]].written
        result["pending"] = self.pending
        result["networks"] = {name: network_result(lan) for name, lan in self.lans.networks.items()}
        return result


def network_result(lan: Lan) -> dict[str, Any]:
    """A network's counters by port, and where addresses were seen."""
    ports = [{"sent_frames": each.counters.sent_frames, "sent_bytes": each.counters.sent_bytes,
              "received_frames": each.counters.received_frames, "received_bytes": each.counters.received_bytes,
              "dropped": each.counters.dropped} for each in lan.switch.ports]
    return {"latency": lan.latency, "ports": ports, "addresses": lan.switch.addresses}


def _with_file(console: ConsoleLog, spec: VmSpec) -> ConsoleLog:
    log = ConsoleLog(spec.console, spec.ready)
    log.listener = console.listener
    return log


def _open_disk(spec: DiskSpec) -> VirtioBlock:
    """Raises ConfigError: no such file, in use by another machine, an overlay whose base is gone."""
    try:
        if spec.base is not None and not spec.file.exists():
            create_overlay(spec.file, spec.base)
        return VirtioBlock(open_disk(spec.file, is_read_only=spec.is_read_only))
    except OSError as error:
        raise ConfigError(f"{spec.file}: {error.strerror}") from error
