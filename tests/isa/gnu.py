"""GNU binutils as the independent reader and writer of RISC-V code; a test is skipped where they are absent."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.oracles import require_oracle

ARCHITECTURE = (
    "rv64imafdch_zicbom_zicbop_zicboz_zicond_zicsr_zifencei_zihintntl_zihintpause_zimop_zacas_zawrs_zba_zbb_zbc_zbs"
    "_zcb_zcmop_zfa_zfh_svinval"
)

_TARGET = r"^((?:jal|b(?:eq|ne|lt|ge|gt|le)[uz]*|j|c\.j|c\.b[a-z]+)(?: .*,| ))([0-9a-f]+)$"
_LINE = re.compile(r"^\s*([0-9a-f]+):\t[0-9a-f ]+\t(.*)$")


def assemble(source: str, *, link_at: int | None = None) -> bytes:
    """The .text bytes of `source`, linked at address `link_at` if given."""
    with tempfile.TemporaryDirectory() as folder:
        elf = _object(source, Path(folder))
        if link_at is not None:
            linked = elf.with_suffix(".elf")
            _run("riscv64-linux-gnu-ld", "--no-relax", "-e", "0", f"-Ttext={link_at:#x}", "-o", str(linked), str(elf))
            elf = linked
        flat = elf.with_suffix(".bin")
        _run("riscv64-linux-gnu-objcopy", "-O", "binary", "-j", ".text", str(elf), str(flat))
        return flat.read_bytes()


def disassemble(insns: Sequence[int], size: int, *options: str) -> list[str]:
    """objdump's text for each of `insns`, of `size` bytes, from address 0 on; one blank separates the mnemonic.

    Data is .4byte or .2byte, branch targets are written with 0x, and objdump's note about an address is left out.
    """
    source = "".join(f".insn {insn:#x}\n" if insn & 3 == 3 or size == 2 else f".4byte {insn:#x}\n" for insn in insns)
    with tempfile.TemporaryDirectory() as folder:
        listing = _run("riscv64-linux-gnu-objdump-2.44", "-d", "-z", "-M", ",".join(options), str(
            _object(source, Path(folder))))
    found: dict[int, str] = {}
    for line in listing.splitlines():
        if match := _LINE.match(line):
            text = re.sub(r"\s*(#.*|<[^>]*>)$", "", match[2]).replace("\t", " ").strip()
            text = re.sub(r"^\.insn ([24]), ", r".\1byte ", text)
            found[int(match[1], 16)] = re.sub(_TARGET, r"\g<1>0x\2", text)
    return [found.get(i * size, "") for i in range(len(insns))]


def _object(source: str, folder: Path) -> Path:
    text, elf = folder / "source.s", folder / "source.o"
    text.write_text(source, encoding="utf-8")
    _run("riscv64-linux-gnu-as-2.44", f"-march={ARCHITECTURE}", "-mno-relax", "-o", str(elf), str(text))
    return elf


def _run(program: str, *arguments: str) -> str:
    done = subprocess.run([require_oracle(program), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{program}: {done.stderr[:2000]}"
    return done.stdout
