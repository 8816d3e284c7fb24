"""A call to the SBI in words: its name, and its arguments by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ....isa.registers import ABI, NUMBER
from ...sbi_names import ERRORS, call_of, is_legacy
from .facts import Fact

if TYPE_CHECKING:
    from ...vcpu import Vcpu

_A0: Final = NUMBER["a0"]
_A6: Final = NUMBER["a6"]
_A7: Final = NUMBER["a7"]


@dataclass(frozen=True)
class SbiText:
    """name: of the function. text: the call, with its arguments. section: of the specification. facts: the same, one by
    one. is_legacy: it answers in a0 alone."""

    name: str
    text: str
    section: str
    is_legacy: bool
    facts: tuple[Fact, ...]

    def note(self, name: str, value: str) -> str:
        """What a register holds afterwards."""
        if name != "a0" or self.is_legacy:
            return "the call's value" if name == "a1" else ""
        number = int(value, 16)
        return ERRORS.get(number - (number >> 63 << 64), "")


def sbi_text(vcpu: Vcpu) -> SbiText:
    """The call that the vCPU is about to make."""
    hart = vcpu.hart
    extension, function = hart.read_gpr(_A7), hart.read_gpr(_A6)
    call = call_of(extension, function)
    values = [hart.read_gpr(_A0 + index) for index in range(len(call.arguments))]
    arguments = ", ".join(f"{name}={_number(value)}" for name, value in zip(call.arguments, values, strict=True))
    facts = [Fact("a7, extension", f"{extension:#x}", call.section.removeprefix("SBI: "))]
    if not is_legacy(extension):
        facts.append(Fact("a6, function", f"{function:#x}", call.name))
    facts += [Fact(f"{ABI[_A0 + index]}, {name}", _number(value))
              for index, (name, value) in enumerate(zip(call.arguments, values, strict=True))]
    return SbiText(call.name, f"{call.name}({arguments})", call.section, is_legacy(extension), tuple(facts))


def _number(value: int) -> str:
    return str(value) if value < 10 else f"{value:#x}"
