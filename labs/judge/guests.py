"""Guests of a lab's own: assembly text that a seed has chosen, and recordings of them that the TUI opens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...core.devices.console import discard
from ...core.devices.virtio.block import VirtioBlock
from ...core.devices.virtio.storage import MemoryDisk
from ...core.isa.assembler import Program, assemble
from ...core.isa.disassembler import disassemble
from ...core.machine.board import CONSOLE
from ...core.machine.elf_writer import elf_file
from ...core.machine.loader import Image, load_image, parse_image
from ...core.machine.memory_map import MIB, RAM_BASE
from ...core.vmm.config import VmConfig
from ...core.vmm.recipe import DriveRef, Recipe
from ...core.vmm.recording import Recorder
from ...core.vmm.techniques import Technique
from ...core.vmm.vm import Vm

ENTRY: Final = RAM_BASE + 2 * MIB
MEMORY: Final = 8 * MIB
AFTER: Final = 64
"""Steps that a recording goes on past the divergence, under the right hypervisor."""


@dataclass(frozen=True)
class Around:
    """What a guest finds besides itself. disks: their bytes, by virtio slot. typed: (step, bytes) for its console, in
    the order of the steps."""

    disks: tuple[bytes, ...] = ()
    typed: tuple[tuple[int, bytes], ...] = ()


ALONE: Final = Around()
"""No disk, and nobody who types."""

@dataclass(frozen=True)
class Guest:
    """A guest from assembly text. name: what its source is called. around: the rest of its world."""

    name: str
    text: str
    program: Program
    image: Image
    around: Around = ALONE

    @classmethod
    def of(cls, text: str, name: str = "guest.s", base: int = ENTRY, entry: str = "",
           around: Around = ALONE) -> Guest:
        """Assemble it. entry: the label where it starts; else its first instruction is."""
        program = assemble(text, base, file=name)
        start = program.symbols[entry] if entry else base
        image = parse_image(elf_file(program.code, base, start, program.symbols), name)
        return cls(name, text, program, image, around)

    def line_at(self, pc: int) -> str:
        """The source line of an address, as "guest.s:12: csrw ..."; the instruction where no line is known."""
        number = self.program.lines.get(pc)
        if number is not None:
            return f"{self.name}:{number}: {self.text.splitlines()[number - 1].split('#')[0].strip()}"
        return ""

    def config(self, technique: str | type[Technique], **options: object) -> VmConfig:
        """A small VM's."""
        return VmConfig(technique=technique, memory=MEMORY, **options)  # type: ignore[arg-type]

    def start(self, config: VmConfig) -> Vm:
        """The guest at its first step, silent, with its disks."""
        return Vm(config, self.image, discard, [VirtioBlock(disk_of(data)) for data in self.around.disks])

    def record(self, folder: Path, name: str, config: VmConfig, steps: int,
               refill: Callable[[], bytes] | None = None) -> str:
        """Write the guest's source and ELF file and a recording of its first `steps` steps under the hypervisor's own
        technique; the recording's file name. refill: what answers a guest that looks for input."""
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"{name}-{Path(self.name).stem}"
        base = self.program.base
        (folder / f"{stem}.s").write_text(self.text, encoding="utf-8")
        elf = folder / f"{stem}.elf"
        elf.write_bytes(elf_file(self.program.code, base, self.image.entry, self.program.symbols))
        drives = []
        for slot, data in enumerate(self.around.disks):
            path = folder / f"{stem}-{slot}.img"
            path.write_bytes(data)
            drives.append(DriveRef.of(path, False))
        recipe = Recipe.of(stem, config, elf, drives=tuple(drives))
        vm = Vm(config, load_image(elf), discard, [drive.open() for drive in drives])
        file = f"{name}.hvr"
        recorder = Recorder(vm, recipe, folder / file, 1_000_000)
        if refill is not None:
            vm.console.refill = vm.inputs.pulling(CONSOLE, refill)
        for step, data in self.around.typed:
            if step < steps:
                recorder.run(step - vm.steps)
            if vm.steps == step < steps:
                vm.inputs.push(CONSOLE, data)
        recorder.close(recorder.run(steps - vm.steps))
        return file


def disk_of(data: bytes) -> MemoryDisk:
    """A disk of whole sectors that holds this, and forgets what is written to it."""
    disk = MemoryDisk(len(data))
    disk.write(0, data)
    return disk


def words_guest(words: list[int]) -> Guest:
    """A guest that is nothing but these words, with what they mean beside them."""
    lines = []
    for word in words:
        meaning = disassemble(word) or "no instruction"
        lines.append(f"    .{'word' if word & 3 == 3 else 'half'} {word:#x}  # {meaning}")
    return Guest.of("\n".join(["_start:", *lines, "    ebreak", ""]), "words.s")
