"""The registers as GDB has them: numbers, names and types, made of the tables in core/isa (GDB manual, "Target
Descriptions", "RISC-V Features")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import quoteattr

from ...isa.csr import Csr
from ...isa.registers import ABI, FLOAT_ABI

PC: Final = 32
FIRST_FPR: Final = 33
FIRST_CSR: Final = 65
PRIVILEGE: Final = FIRST_CSR + 4096
"""Register numbers; x0 to x31 come first, and a CSR's is FIRST_CSR more than its own."""

FLOAT_CSRS: Final = ("fflags", "frm", "fcsr")
"""CSRs that GDB expects beside the floating-point registers."""

_POINTERS: Final = {"pc": "code_ptr", "ra": "code_ptr", **dict.fromkeys(("sp", "gp", "tp", "s0"), "data_ptr")}


def describe(csrs: Sequence[Csr], has_float: bool) -> str:
    """The target description of harts that have these CSRs."""
    parts = ['<?xml version="1.0"?>', '<!DOCTYPE target SYSTEM "gdb-target.dtd">', '<target version="1.0">',
             "<architecture>riscv:rv64</architecture>",
             *_feature("cpu", [_register(name, number, _POINTERS.get(name, "int64"))
                               for number, name in enumerate((*ABI, "pc"))])]
    if has_float:
        parts += _feature("fpu", [
            '<union id="riscv_double"><field name="float" type="ieee_single"/>'
            '<field name="double" type="ieee_double"/></union>',
            *(_register(name, FIRST_FPR + number, "riscv_double") for number, name in enumerate(FLOAT_ABI)),
            *(_register(csr.name, FIRST_CSR + csr.number, "int64", "float")
              for csr in csrs if csr.name in FLOAT_CSRS)])
    others = [csr for csr in csrs if csr.name not in FLOAT_CSRS]
    parts += _feature("csr", [*(_flags(csr) for csr in others if csr.fields),
                              *(_register(csr.name, FIRST_CSR + csr.number,
                                          _flags_name(csr) if csr.fields else "uint64", "csr") for csr in others)])
    parts += _feature("virtual", [_register("priv", PRIVILEGE, "int64")])
    return "\n".join([*parts, "</target>", ""])


def _feature(name: str, lines: list[str]) -> list[str]:
    return [f'<feature name="org.gnu.gdb.riscv.{name}">', *lines, "</feature>"]


def _register(name: str, number: int, type_: str, group: str = "") -> str:
    belongs = f' group="{group}"' if group else ""
    return f'<reg name="{name}" bitsize="64" type="{type_}" regnum="{number}"{belongs}/>'


def _flags_name(csr: Csr) -> str:
    return f"{csr.name}_fields"


def _flags(csr: Csr) -> str:
    """The type of a CSR that has fields, which GDB then shows by name."""
    fields = "".join(
        f'<field name={quoteattr(field.name)} start="{field.lo}" end="{field.hi}"'
        f'{"" if field.hi == field.lo else " type=" + quoteattr("uint64")}/>'
        for field in sorted(csr.fields, key=lambda each: each.lo))
    return f'<flags id="{_flags_name(csr)}" size="8">{fields}</flags>'
