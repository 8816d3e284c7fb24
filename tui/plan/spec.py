"""What a plan says, as plain values: each key of the file is read here, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...core.devices.network.nat import Forward
from ...core.machine.memory_map import VIRTIO
from ...core.vmm.config import MAX_VCPUS, VmConfig
from ...core.vmm.hypervisor.entitlement import MAX_SHARES, WHOLE, Entitlement
from ...core.vmm.hypervisor.hypervisor import QUANTUM, MachineConfig
from ...core.vmm.hypervisor.lan import LATENCY
from ...core.vmm.hypervisor.reclaim import VICTIM_POLICIES
from ...core.vmm.hypervisor.scheduler import SCHEDULERS
from ...core.vmm.shadow_policy import POLICIES
from ...core.vmm.techniques import TECHNIQUES
from ..devices import parse_forward, parse_mac
from ..options import find_image, parse_guest_isa
from .source import Source, Table

HOSTED = [name for name, technique in TECHNIQUES.items() if technique.owns_frames]
AUTOMATIC = "auto"
ECHO = "echo"
USER = "user"
OWN = {ECHO: "the small host", USER: "the host's networks"}
"""Networks that need no declaration: each VM's card has one for itself."""

FileOf = Callable[[str], Path]
"""The file that a name in the plan means: beside the plan."""


@dataclass(frozen=True)
class NetworkSpec:
    """A network. latency: microseconds. capture: the file that gets its frames."""

    name: str
    latency: int
    capture: Path | None


@dataclass(frozen=True)
class DiskSpec:
    """A disk: an image or an overlay; base: what the overlay is made on, if it is not there yet."""

    file: Path
    base: Path | None
    is_read_only: bool


@dataclass(frozen=True)
class CardSpec:
    """A network card. network: its name; or ECHO, the small host in the guest's own time; or USER, the host's networks
    by NAT, with forwards, ports of the host's that lead to the guest."""

    network: str
    mac: bytes | None
    capture: Path | None
    forwards: tuple[Forward, ...] = ()


@dataclass(frozen=True)
class FolderSpec:
    """A folder of the host's."""

    path: Path
    tag: str
    is_read_only: bool


@dataclass(frozen=True)
class VmSpec:
    """A VM of the plan. table: where it stands in it, for what is found wrong later. balloon: bytes in it at first;
    None: it has none. ready: the text on its console that says that it is up; order: VMs with a greater one wait."""

    table: Table
    name: str
    image: str
    config: VmConfig
    initrd: tuple[Path, ...]
    cpu: Entitlement
    memory_shares: int
    memory_reservation: int
    balloon: int | None
    is_balloon_ours: bool
    order: int
    ready: str | None
    input: str
    console: Path | None
    disks: tuple[DiskSpec, ...]
    cards: tuple[CardSpec, ...]
    folders: tuple[FolderSpec, ...]
    has_rng: bool


@dataclass(frozen=True)
class Plan:
    """A whole file."""

    path: Path
    machine: MachineConfig
    networks: tuple[NetworkSpec, ...]
    vms: tuple[VmSpec, ...] = field(default=())


def read_plan(path: Path) -> Plan:
    """Read a plan. Raises PlanError, which names line and key."""
    source = Source(path)
    top = Table(source, (), source.data, str(path))
    folder = path.absolute().parent
    machine = _read_machine(top, folder)
    networks = tuple(_read_network(table, folder) for table in _tables(top, "network"))
    names = [network.name for network in networks]
    _check_twice(top, "network", names)
    vms = tuple(spec for table in _tables(top, "vm") for spec in _read_vms(table, folder, names))
    top.done()
    if not vms:
        raise top.error(None, "declares no VM; give at least one [[vm]]")
    _check_twice(top, "vm", [spec.name for spec in vms])
    return Plan(path, machine, networks, vms)


def _tables(top: Table, name: str) -> Iterator[Table]:
    found = top.array(name)
    for index, data in enumerate(found):
        label = data.get("name", "") if isinstance(data, dict) else ""
        yield Table(top.source, (name, index), data, f'{name} "{label}"' if label else name)


def _check_twice(top: Table, what: str, names: list[str]) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise top.source.error((what, index, "name"), f"two of the name {name!r}; give each its own")


def _read_machine(top: Table, folder: Path) -> MachineConfig:
    table = Table(top.source, ("machine",), top.table("machine"), "machine")
    swap_folder = table.maybe("swap_folder")
    machine = table.take(None, lambda: MachineConfig(
        memory=table.size("memory", "256M"), swap=table.size("swap", "0"),
        quantum=table.number("quantum", QUANTUM, 100, 100_000_000),
        scheduler=table.choice("scheduler", "stride", list(SCHEDULERS)),
        victims=table.choice("victims", "clock", list(VICTIM_POLICIES)),
        is_sharing=table.flag("sharing", True),
        swap_folder=folder / swap_folder if swap_folder is not None else None))
    table.done()
    return machine


def _read_network(table: Table, folder: Path) -> NetworkSpec:
    capture = table.maybe("pcap")
    spec = NetworkSpec(_name(table), table.number("latency", LATENCY, 1, 1_000_000),
                       folder / capture if capture is not None else None)
    if spec.name in OWN:
        raise table.error("name", f"{spec.name!r} is {OWN[spec.name]}, which each VM can have for itself; give another")
    table.done()
    return spec


def _name(table: Table) -> str:
    name = table.text("name")
    if not name or not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
        raise table.error("name", f"{name!r}: letters, digits, - and _")
    return name


def _read_vms(table: Table, folder: Path, networks: list[str]) -> list[VmSpec]:
    """One VM, or `count` alike whose names get a number, and whose files have {name} for theirs; in_turn: each waits
    for the one before to be up."""
    name = _name(table)
    count = table.number("count", 1, 1, 1000)
    is_in_turn = table.flag("in_turn", False)
    names = [name] if not table.has("count") else [f"{name}{number}" for number in range(1, count + 1)]
    first = _read_vm(table, folder, networks, names[0])
    table.done()
    rest = [_read_vm(table, folder, networks, each) for each in names[1:]]
    return [replace(spec, order=spec.order + index) if is_in_turn else spec
            for index, spec in enumerate([first, *rest])]


def _read_vm(table: Table, folder: Path, networks: list[str], name: str) -> VmSpec:
    def file(text: str) -> Path:
        return folder / text.replace("{name}", name)

    image = table.text("image")
    if "/" in image or (folder / image).is_file():
        image = str(folder / image)
    _, info = table.take("image", lambda: find_image(image))
    technique = table.choice("technique", "two-stage", HOSTED)
    isa = table.maybe("isa")
    initrd = tuple(file(text) for text in table.names("initrd")) or (info.initrd if info is not None else ())
    config = table.take(None, lambda: VmConfig(
        technique=technique, memory=table.size("memory", "128M"),
        append=table.text("append", info.append if info is not None else "").replace("{name}", name),
        policy=table.choice("shadow_policy", "cached", list(POLICIES)),
        isa=table.take("isa", lambda: parse_guest_isa(isa, [technique])),
        vcpus=table.number("vcpus", 1, 1, MAX_VCPUS)))
    cpu = table.take(None, lambda: Entitlement(
        table.number("shares", 100, 1, MAX_SHARES), table.permille("reservation", 0), table.permille("limit", WHOLE)))
    balloon = table.maybe("balloon")
    is_ours = balloon == AUTOMATIC
    console, ready = table.maybe("console"), table.maybe("ready")
    spec = VmSpec(
        table, name, image, config, initrd, cpu,
        memory_shares=table.number("memory_shares", 100, 1, MAX_SHARES),
        memory_reservation=table.size("memory_reservation", "0"),
        balloon=None if balloon is None else 0 if is_ours else table.size("balloon", "0"),
        is_balloon_ours=is_ours, order=table.number("order", 0), ready=ready,
        input=table.text("input", "").replace("{name}", name),
        console=file(console) if console is not None else None,
        disks=tuple(_read_disk(entry, file) for entry in table.entries("disks", "file")),
        cards=tuple(_read_card(entry, networks, file) for entry in table.entries("networks", "name")),
        folders=tuple(_read_folder(entry, index, file) for index, entry in enumerate(table.entries("folders", "path"))),
        has_rng=table.flag("rng", False))
    slots = len(spec.disks) + len(spec.cards) + len(spec.folders) + spec.has_rng + (spec.balloon is not None)
    if slots > len(VIRTIO):
        raise table.error(None, f"{slots} devices: there are {len(VIRTIO)} slots")
    return spec


def _read_disk(table: Table, file: FileOf) -> DiskSpec:
    base = table.maybe("base")
    spec = DiskSpec(file(table.text("file")), file(base) if base is not None else None, table.flag("readonly", False))
    table.done()
    return spec


def _read_card(table: Table, networks: list[str], file: FileOf) -> CardSpec:
    name, mac, capture = table.text("name"), table.maybe("mac"), table.maybe("pcap")
    if name not in (*networks, *OWN):
        known = ", ".join([*networks, *OWN])
        raise table.error("name", f"no network {name!r}; there are {known}")
    forwards = (*_read_forwards(table, "forward"), *_read_forwards(table, "forward_udp")) if name == USER else ()
    address = table.take("mac", lambda: parse_mac(mac)) if mac is not None else None
    table.done()
    return CardSpec(name, address, file(capture) if capture is not None else None, forwards)


def _read_forwards(table: Table, key: str) -> list[Forward]:
    return table.take(key, lambda: [parse_forward(text, is_udp=key == "forward_udp") for text in table.names(key)])


def _read_folder(table: Table, index: int, file: FileOf) -> FolderSpec:
    spec = FolderSpec(file(table.text("path")), table.text("tag", f"share{index or ''}"), table.flag("readonly", False))
    table.done()
    return spec
