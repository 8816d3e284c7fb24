"""A hart with H, to be asked what two stages come to; and the instructions that only HS-mode may execute, executed."""

from __future__ import annotations

from typing import Final

from ...core.hart import EXIT_BUDGET, EXIT_TRAP, HOST_HS, HOST_M, Exit, Hart, Memory
from ...core.isa.assembler import assemble
from ...core.isa.csrs import BY_NAME
from ...core.isa.extensions import DEFAULT_ISA, without
from ...core.isa.paging import PAGE_SIZE
from ...core.machine.memory_map import RAM_BASE
from ..kit.two_stage import Found, Ram, View

SIZE: Final = 1 << 20
ISA: Final = without(DEFAULT_ISA, "Svnapot", "Svpbmt")
"""Without them, bits 63:54 of every entry must be zero."""
STUB: Final = RAM_BASE + SIZE - PAGE_SIZE
"""Where no case's tables or data lie, however spoiled: what stands there is in no Ram."""
SUPERVISOR: Final = 1
SUM: Final = 1 << 18
MXR: Final = 1 << 19
SPVP: Final = 1 << 8
IMPLICIT: Final = 0x3000
"""htinst of a guest-page fault at an entry of the guest's."""
HLV: Final = {(1, True): "hlv.b", (1, False): "hlv.bu", (2, True): "hlv.h", (2, False): "hlv.hu", (4, True): "hlv.w",
              (4, False): "hlv.wu", (8, False): "hlv.d"}
"""By size and whether it extends the sign."""
HLVX: Final = {2: "hlvx.hu", 4: "hlvx.wu"}
HSV: Final = {1: "hsv.b", 2: "hsv.h", 4: "hsv.w", 8: "hsv.d"}


def csr(name: str) -> int:
    """A CSR's number."""
    return BY_NAME[name].number


def execute(hart: Hart, stub: int, line: str, a0: int = 0, a1: int = 0) -> tuple[Exit, int]:
    """Have the hart execute one instruction in HS-mode, and be as it was, but for what that changed; its exit, and a2
    behind it. stub: hpa of four bytes to put it in."""
    pc, privilege, virtual, gprs = hart.pc, hart.privilege, hart.virtual, hart.read_gprs()
    clock = hart.steps, hart.idle_steps, hart.guest_traps
    hart.memory.write(stub, assemble(line).code)
    hart.write_gpr(10, a0)
    hart.write_gpr(11, a1)
    hart.pc, hart.privilege, hart.virtual = stub, SUPERVISOR, False
    exit = hart.run(1)
    result = hart.read_gpr(12)
    hart.write_gprs(gprs)
    hart.pc, hart.privilege, hart.virtual = pc, privilege, virtual
    hart.steps, hart.idle_steps, hart.guest_traps = clock
    return exit, result


class Machine:
    """A hart with 1 MiB of RAM, at RAM_BASE."""

    def __init__(self) -> None:
        self._memory = Memory(SIZE, base=RAM_BASE)
        self._hart = Hart(self._memory, isa=ISA, hosts=HOST_M | HOST_HS)
        for name, value in (("pmpaddr0", (1 << 54) - 1), ("pmpcfg0", 0x1F), ("medeleg", (1 << 64) - 1)):
            self._hart.write_csr(csr(name), value)

    def _set(self, view: View, ram: Ram) -> None:
        for hpa, value in ram.words.items():
            self._memory.store(hpa, 8, value)
        for name, value in (("vsatp", view.vsatp), ("hgatp", view.hgatp), ("hstatus", SPVP * view.mode),
                            ("vsstatus", SUM * view.sum | MXR * view.vmxr), ("sstatus", MXR * view.mxr)):
            self._hart.write_csr(csr(name), value)

    def _clear(self, ram: Ram) -> None:
        for hpa in ram.words:
            self._memory.store(hpa, 8, 0)

    def translate(self, view: View, gva: int, access: int, ram: Ram) -> tuple[int | None, int]:
        """The cause, or where an access of the guest's leads."""
        self._set(view, ram)
        hart = self._hart
        hart.privilege, hart.virtual = view.mode, True
        hpa, cause = hart.translate(gva, access)
        hart.virtual = False
        self._clear(ram)
        return (cause or None), (0 if cause else hpa)

    def access(self, view: View, line: str, gva: int, value: int, ram: Ram) -> int | Found:
        """Execute hlv, hlvx or hsv, with the address in a0, the value in a1, the result in a2; `ram` is then what it
        left."""
        self._set(view, ram)
        exit, result = execute(self._hart, STUB, line, gva, value)
        after = {hpa: self._memory.load(hpa, 8) for hpa in ram.words}
        self._clear(ram)
        ram.words.update(after)
        if exit.reason != EXIT_TRAP:
            assert exit.reason == EXIT_BUDGET, f"{line} at {gva:#x} leads out of the machine's RAM"
            return result
        return Found(exit.cause, 0, exit.gpa, exit.tinst == IMPLICIT)
