"""Code with a name, and all that an ELF file tells of it: functions, variables, call frames, source lines.

Nothing of it is read before it is asked for, and nothing here raises: of what is damaged, nothing is known.
"""

from __future__ import annotations

import io
from functools import cached_property
from typing import cast

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from ..errors import ImageError
from .call_frames import CallFrames
from .debug_data import DebugData
from .loader import ELF_MAGIC, CodeRange, Image
from .symbols import NAMELESS, Symbols, symbols_of

SHF_ALLOC, SHF_EXECINSTR = 2, 4


class Program:
    """A kernel, or a user program. name: for people. image: its file; None for one known by its symbols alone.

    symbols: those of its code, where they are not the image's own.
    """

    def __init__(self, name: str, image: Image | None, symbols: Symbols | None = None) -> None:
        self.name = name
        self.image = image
        self._symbols = symbols

    @cached_property
    def symbols(self) -> Symbols:
        """The names of its code."""
        if self._symbols is not None or self.image is None:
            return self._symbols or Symbols({}, [])
        try:
            return symbols_of(self.image)
        except ImageError:
            return Symbols({}, [])

    @cached_property
    def variables(self) -> Symbols:
        """The names of its data, each as far as its symbol says it extends."""
        try:
            return _variables(self._file)
        except Exception:  # pyelftools raises whatever its parsing stumbles over
            return Symbols({}, [])

    @cached_property
    def addresses(self) -> dict[str, int]:
        """Every symbol by name."""
        try:
            named = dict(self.image.symbols) if self.image is not None else {}
        except ImageError:
            named = {}
        if self._symbols is not None:
            data = self._symbols.as_json()
            named |= {name: address for name, address in zip(data["names"], data["addresses"], strict=True)
                      if name not in named}
        return named

    @cached_property
    def code(self) -> tuple[CodeRange, ...]:
        """Its instructions, as linked."""
        try:
            return self.image.code_ranges if self.image is not None else ()
        except ImageError:
            return ()

    @cached_property
    def rules(self) -> CallFrames:
        """How to leave its functions."""
        return CallFrames(self._file)

    @cached_property
    def debug(self) -> DebugData:
        """Its source lines."""
        return DebugData(self._file)

    @property
    def _file(self) -> bytes:
        return self.image.file if self.image is not None else b""


def _variables(file: bytes) -> Symbols:
    """Symbols outside code that have a size; raises anything for a damaged file."""
    if not file.startswith(ELF_MAGIC):
        return Symbols({}, [])
    elf = ELFFile(io.BytesIO(file))
    is_data = {number for number, section in enumerate(elf.iter_sections())
               if section.header.sh_flags & SHF_ALLOC and not section.header.sh_flags & SHF_EXECINSTR}
    names: dict[int, str] = {}
    ranges = set()
    for table in elf.iter_sections(type="SHT_SYMTAB"):
        for symbol in cast(SymbolTableSection, table).iter_symbols():
            entry = symbol.entry
            if entry.st_shndx in is_data and entry.st_size and symbol.name and not symbol.name.startswith(NAMELESS):
                names.setdefault(entry.st_value, symbol.name)
                ranges.add((entry.st_value, entry.st_value + entry.st_size))
    return Symbols(names, sorted(ranges))
