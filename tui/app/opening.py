"""What `hartvisor tui` opens: images, a recording, snapshots; each becomes a VM under the glass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ...core.devices.console import discard
from ...core.devices.virtio.device import VirtioDevice
from ...core.devices.virtio.net import VirtioNet
from ...core.errors import ImageError, OptionError
from ...core.machine.boot import read_files
from ...core.machine.loader import load_image
from ...core.machine.symbols import Symbols
from ...core.vmm.inspector import Inspection, Inspector
from ...core.vmm.recipe import IMAGE, Recipe, note_cards
from ...core.vmm.recording import MAGIC, Replay, read_recording
from ...core.vmm.store import Store
from ...core.vmm.vm import Vm
from ...guest import SOURCES, programs
from ..options import find_image, make_config, parse_guest_isa


@dataclass(frozen=True)
class Wish:
    """What the command line asks for. names: images, a recording, or snapshots. techniques: one for all, or one each.
    The rest is as the options of `hartvisor run` have it; devices are the first VM's."""

    names: tuple[str, ...]
    techniques: tuple[str, ...] = ()
    memory: str = "128M"
    append: str | None = None
    smp: int = 1
    initrd: tuple[Path, ...] = ()
    policy: str = "cached"
    tlb: str = "precise"
    isa: str | None = None
    store: Path = field(default_factory=Path)
    symbols: Symbols | None = None


def open_all(wish: Wish, devices: Sequence[VirtioDevice] = ()) -> Inspection:
    """Every VM that is wished for. Raises ImageError, ConfigError or OptionError."""
    count = len(wish.names)
    if len(wish.techniques) not in (0, 1, count):
        raise OptionError(f"--technique: given {len(wish.techniques)} times for {count} VMs; give it once for all, or "
                          "once for each")
    seen: Counter[str] = Counter()
    inspectors = []
    for index, name in enumerate(wish.names):
        technique = wish.techniques[index % len(wish.techniques)] if wish.techniques else None
        seen[name] += 1
        title = Path(name).stem if seen[name] == 1 else f"{Path(name).stem} {seen[name]}"
        inspectors.append(_open(wish, name, title, technique, devices if index == 0 else ()))
    return Inspection(inspectors, wish.store)


def _open(wish: Wish, name: str, title: str, technique: str | None, devices: Sequence[VirtioDevice]) -> Inspector:
    if _is_recording(name):
        return _replay(wish, name, title, technique)
    try:
        path, info = find_image(name)
    except ImageError:
        if wish.store.is_file() and name in stored_names(wish.store):
            return _open_stored(wish, name, title, technique)
        raise
    image = load_image(path)
    chosen = technique or "deprivileged"
    bootargs = wish.append if wish.append is not None else info.append if info is not None else ""
    ramdisk = wish.initrd or (info.initrd if info is not None else ())
    config = make_config(wish.memory, technique=chosen, append=bootargs, policy=wish.policy, tlb=wish.tlb,
                         isa=parse_guest_isa(wish.isa, [chosen]), vcpus=wish.smp, initrd=read_files(ramdisk))
    is_written = all(isinstance(device, VirtioNet) for device in devices)
    recipe = Recipe.of(name, config, path, ramdisk, (), note_cards(devices)) if is_written else None
    return _inspect(wish, title, Vm(config, image, discard, devices), recipe)


def _is_recording(name: str) -> bool:
    """Whether it is a file that begins as recordings do."""
    try:
        with Path(name).open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def open_recording(path: Path) -> Inspector:
    """A recorded run, at its beginning. Raises ConfigError or DamagedError."""
    return _replay(Wish(names=()), str(path), path.stem, None)


def _replay(wish: Wish, name: str, title: str, technique: str | None) -> Inspector:
    recording = read_recording(Path(name))
    again = Replay(recording, discard, technique)
    return _inspect(wish, title, again.vm, recording.header.recipe, recording.length)


def stored_names(path: Path) -> list[str]:
    """What a store holds, oldest first. Raises ConfigError or DamagedError."""
    store = Store(path, is_made=False)
    try:
        return [info.name for info in store.list()]
    finally:
        store.close()


def _open_stored(wish: Wish, name: str, title: str, technique: str | None) -> Inspector:
    store = Store(wish.store, is_made=False)
    try:
        vm, recipe = store.restore(name, discard, technique)
    finally:
        store.close()
    with suppress(ImageError):      # gone, or another: then the guest has no names
        recipe.files[IMAGE].read()
        vm.image = load_image(Path(recipe.files[IMAGE].path))
    return _inspect(wish, title, vm, recipe)


def open_stored(store: Path, name: str) -> Inspector:
    """A snapshot from a store, as a VM. Raises ConfigError or DamagedError."""
    return _open_stored(Wish(names=(), store=store), name, name, None)


def _inspect(wish: Wish, title: str, vm: Vm, recipe: Recipe | None, limit: int | None = None) -> Inspector:
    """The VM under the glass. Sources are looked for where our own guests' lie, near the image, and here."""
    near = [Path(vm.image.name).parent] if vm.image is not None else []
    return Inspector(title, vm, symbols=wish.symbols, programs=programs(), sources=(SOURCES, *near, Path.cwd()),
                     limit=limit, recipe=recipe)
