"""A hart for trying instructions out, with a page of RAM of its own: what an instruction does to registers is not said
a second time, but seen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from ...hart import EXIT_BUDGET, EXIT_TRAP, HOST_M, Hart, Memory
from ...isa.csrs import BY_NAME
from ...isa.decoder import Decoded
from ...isa.paging import PAGE_SIZE
from ..csr_file import FCSR, field_mask

MACHINE: Final = 3
CODE: Final = 0x8000_0000 + PAGE_SIZE // 2
MASK: Final = (1 << 64) - 1
MSTATUS: Final = BY_NAME["mstatus"].number
FS: Final = field_mask("mstatus", "FS")


class Outcome(NamedTuple):
    """What came of an instruction. gpr, fpr: the value of rd afterwards, None if it has none of that kind. pc: of the
    next one. fcsr: afterwards. cause: of the exception that it raises instead."""

    gpr: int | None
    fpr: int | None
    pc: int
    fcsr: int
    cause: int | None = None


class Bench:
    """A hart with these extensions, in M-mode, without translation."""

    def __init__(self, isa: frozenset[str]) -> None:
        self._memory = Memory(PAGE_SIZE, base=CODE - PAGE_SIZE // 2)
        self._hart = Hart(self._memory, isa=isa, hosts=HOST_M)
        self._has_float = "F" in isa

    def try_out(self, insn: Decoded, pc: int, gprs: Sequence[int], fprs: Sequence[int], fcsr: int) -> Outcome:
        """Execute an instruction that does nothing to memory or CSRs, as if it were at `pc`."""
        hart = self._hart
        is_float = self._has_float and any(field.is_float for field in insn.row.format.operands.values())
        self._memory.write(CODE, insn.insn.to_bytes(insn.length, "little"))
        hart.privilege, hart.pc = MACHINE, CODE
        hart.write_gprs(gprs)
        if is_float:
            hart.write_csr(MSTATUS, FS)
            hart.write_fprs(fprs)
            hart.write_csr(FCSR, fcsr)
        exit = hart.run(1)
        flags = hart.read_csr(FCSR) if is_float else fcsr
        if exit.reason == EXIT_TRAP:
            return Outcome(None, None, pc, fcsr, exit.cause)
        assert exit.reason == EXIT_BUDGET
        operand = insn.row.format.operands.get("rd")
        is_fpr = operand is not None and operand.is_float
        gpr = hart.read_gpr(insn.rd) if insn.rd and not is_fpr else None
        fpr = hart.read_fpr(insn.rd) if is_fpr else None
        if insn.name in ("auipc", "jal", "jalr") and gpr is not None:
            gpr = gpr - CODE + pc & MASK
        following = hart.pc if insn.name == "jalr" else hart.pc - CODE + pc & MASK
        return Outcome(gpr, fpr, following, flags)


@lru_cache(maxsize=8)
def bench_for(isa: frozenset[str]) -> Bench:
    """The one for these extensions."""
    return Bench(isa)
