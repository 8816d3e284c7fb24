"""Decoder and disassembler against GNU objdump, over every row, every halfword and many words."""

from __future__ import annotations

import pytest

from hartvisor.core.isa import csrs
from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.decoder import decode
from hartvisor.core.isa.disassembler import disassemble
from hartvisor.core.isa.instructions import BY_NAME, INSTRUCTIONS
from tests.isa import gnu, samples

SAMPLES = 48
EXACT_CONVERSIONS = ("fcvt.d.w", "fcvt.d.wu", "fcvt.d.s", "fcvt.s.h", "fcvt.d.h")


def _difference(insn: int, ours: str, theirs: str) -> str:
    """Why objdump 2.44 says something else here; "" if it should not.

    The sections are the unprivileged manual's.
    """
    decoded = decode(insn)
    name = decoded.row.name if decoded else ""
    if name in ("fence", "fence.i") and theirs.startswith(".insn") and "reserved bits" in ours:
        return "reserved fields of fence and fence.i are ignored (Memory Ordering Instructions; Zifencei)"
    if name == "fence" and "unknown" in theirs:
        return "objdump has no notation for an empty set, which we write as 0 (Memory Ordering Instructions)"
    if name in EXACT_CONVERSIONS and theirs.startswith(".4byte") and insn >> 12 & 7 in (1, 2, 3, 4, 7):
        return "an exact conversion may name any rounding mode (F: Floating-Point Control and Status Register)"
    if not decoded and theirs.endswith(",unknown"):
        return "a reserved rounding mode (F: Floating-Point Control and Status Register)"
    if name == "c.nop" and theirs in ("c.addi zero,0", "c.addi x0,0"):
        return "objdump takes c.nop for an alias (RVC: NOP Instruction)"
    if name in ("c.slli", "c.srli", "c.srai") and theirs.startswith(f"{name}64 "):
        return "a shift by 0 is a shift; the 64 names are RV128's (RVC: Integer Register-Immediate Operations)"
    if insn == 0x6101 and not name:
        return "c.addi16sp with immediate 0 is reserved (RVC: Integer Register-Immediate Operations)"
    if insn == 0 and not name:
        return "objdump has a name, c.unimp, for the illegal zero halfword (RVC: Compressed Instruction Formats)"
    if not decoded and theirs.split()[0] in ("uret", "hret", "dret", "sfence.vm"):
        return "objdump knows instructions of older drafts and of debug mode (privileged manual: no such instruction)"
    if decoded and decoded.name.startswith("csrr") and decoded.imm not in csrs.BY_NUMBER:
        return "objdump names CSRs of extensions that this machine does not have"
    return ""


def _is_same(ours: str, theirs: str) -> bool:
    is_data = theirs.startswith((".2byte", ".4byte", ".word", ".short", ".insn"))
    return ours.startswith((".half", ".word")) if is_data else ours == theirs


def _unexplained(insns: list[int], size: int, **options: bool) -> list[str]:
    flags = ["no-aliases"] * (not options.get("aliases")) + ["numeric"] * bool(options.get("numeric"))
    wrong = []
    for place, (insn, theirs) in enumerate(zip(insns, gnu.disassemble(insns, size, *flags), strict=True)):
        ours = disassemble(insn, place * size, **options)
        if not _is_same(ours, theirs) and not _difference(insn, ours, theirs):
            wrong.append(f"{insn:#x}: {ours!r}, objdump {theirs!r}")
    return wrong


@pytest.mark.parametrize("numeric", [False, True], ids=["abi-names", "numeric-names"])
@pytest.mark.parametrize("length", [4, 2])
def test_every_row_reads_as_objdump_prints_it(length: int, numeric: bool) -> None:
    rows = [row for row in INSTRUCTIONS if row.length == length]
    insns = [insn for row in rows for insn in samples.encodings(row, SAMPLES)]
    assert {decode(insn).row.name for insn in insns} == {row.name for row in rows}  # type: ignore[union-attr]
    assert _unexplained(insns, length, numeric=numeric) == []


def test_every_halfword_decodes_or_is_illegal_as_in_objdump() -> None:
    assert _unexplained(list(samples.COMPRESSED_HALFWORDS), 2) == []


def test_random_words_decode_or_are_illegal_as_in_objdump() -> None:
    words = samples.words(20_000)
    assert sum(decode(word) is not None for word in words) in range(5_000, 19_000)
    assert _unexplained(words, 4) == []


def test_every_csr_has_objdumps_name() -> None:
    reads = [BY_NAME["csrrs"].match | csr.number << 20 for csr in csrs.CSRS]
    names = [text.split(",")[1] for text in gnu.disassemble(reads, 4, "no-aliases")]
    assert names == [csr.name for csr in csrs.CSRS]


ALIASED = ("addi zero,zero,0", "addi a0,a1,0", "addi a0,zero,-5", "xori a0,a1,-1", "sub a0,zero,a1", "subw a0,zero,a1",
           "addiw a0,a1,0", "sltiu a0,a1,1", "sltu a0,zero,a1", "slt a0,a1,zero", "slt a0,zero,a1", "beq a0,zero,0x8",
           "bne a0,zero,0x8", "bge zero,a0,0x8", "bge a0,zero,0x8", "blt a0,zero,0x8", "blt zero,a0,0x8",
           "jal zero,0x8", "jal ra,0x8", "jalr zero,0(ra)", "jalr zero,0(a0)", "jalr zero,4(a0)",
           "jalr ra,0(a0)", "jalr ra,4(a0)",
           "jalr a1,0(a0)", "fence iorw,iorw", "csrrs a0,cycle,zero", "csrrs a0,time,zero", "csrrs a0,instret,zero",
           "csrrs a0,mstatus,zero", "csrrw zero,mstatus,a0", "csrrs zero,mstatus,a0", "csrrc zero,mstatus,a0",
           "csrrw zero,cycle,zero", "sfence.vma zero,zero", "sfence.vma a0,zero", "sfence.vma a0,a1")


@pytest.mark.parametrize("text", ALIASED)
def test_aliases_are_those_that_objdump_prints(text: str) -> None:
    insn = int.from_bytes(assemble(text).code, "little")
    assert [disassemble(insn, aliases=True)] == gnu.disassemble([insn], 4, "")


def test_the_sampler_reaches_every_row() -> None:
    assert all(samples.encodings(row, 2) for row in INSTRUCTIONS)
