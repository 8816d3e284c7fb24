"""Runs a self-checking test program (the `riscv-tests` kind): it stores its verdict to the doubleword `tohost`.

That is the host-target interface (HTIF) of the RISC-V simulators, as far as tests use it. Bits 63:56 of what is stored
name a device, bits 55:48 a command. For device 0, command 0, an odd value ends the test: 1 is a pass, and any other
names in bits 47:1 the test case that failed. Device 1, command 1 writes the character in bits 7:0. The host
answers by storing 0 to `tohost`.
"""

from dataclasses import dataclass
from enum import Enum

from ..devices.console import ConsoleEnd
from ..errors import ImageError
from ..hart import Memory
from ..isa.extensions import DEFAULT_ISA
from .loader import Image
from .machine import Machine, StopReason

POLL_STEPS = 1000
"""Steps between two looks at `tohost`: what a run's count of steps is rounded up to."""

DEFAULT_BUDGET = 10_000_000
DEFAULT_MEMORY = 128 << 20
_PAYLOAD = (1 << 48) - 1
_EXIT, _WRITE_CHARACTER = 0x0000, 0x0101  # device and command


class Verdict(Enum):
    """How a test ended."""

    PASS = "pass"
    FAIL = "fail"
    HUNG = "hung"
    STUCK = "stuck"


@dataclass(frozen=True)
class TestResult:
    """The end of one test program.

    case: the number of the test case that failed, 0 where none did. detail: the verdict in words. steps: those taken,
    to the next look at `tohost`. output: what it wrote by HTIF.
    """

    __test__ = False  # pytest: not a test itself

    verdict: Verdict
    case: int
    detail: str
    steps: int
    output: bytes


class TohostPort:
    """The doubleword `tohost` of an image in RAM, as the host sees it.

    Raises ImageError where the image has no such symbol, or has it outside RAM.
    """

    def __init__(self, image: Image, memory: Memory) -> None:
        where = image.symbols.get("tohost")
        if where is None:
            raise ImageError(f"{image.name}: has no symbol `tohost`, to which a test stores its verdict")
        if not memory.contains(where, 8):
            raise ImageError(f"{image.name}: `tohost` at {where:#x} is not in memory")
        self.output = bytearray()
        self._memory = memory
        self._where = where

    def poll(self) -> int | None:
        """What the program asks to exit with, None if it goes on. Raises ValueError for any other request."""
        value = self._memory.load(self._where, 8)
        if value == 0:
            return None
        request, payload = value >> 48, value & _PAYLOAD
        if request == _EXIT and payload & 1:
            return payload >> 1
        if request != _WRITE_CHARACTER:
            raise ValueError(f"{value:#x} stored to tohost: neither a verdict nor a character")
        self.output.append(payload & 0xFF)
        self._memory.store(self._where, 8, 0)
        return None


def run_test(
    image: Image, *, memory_size: int = DEFAULT_MEMORY, budget: int = DEFAULT_BUDGET,
    isa: frozenset[str] = DEFAULT_ISA,
) -> TestResult:
    """Run a test program on a bare machine with the extensions `isa`, in M-mode from its entry, for at most `budget`
    steps.

    Raises ImageError for an image that does not fit or has no `tohost`, ConfigError for memory that cannot be.
    """
    machine = Machine(memory_size, isa=isa, console=ConsoleEnd())
    machine.load(image)
    port = TohostPort(image, machine.memory)
    hart = machine.harts[0]

    def result(verdict: Verdict, detail: str, case: int = 0) -> TestResult:
        return TestResult(verdict, case, detail, hart.steps, bytes(port.output))

    while hart.steps < budget:
        stop = machine.run(min(POLL_STEPS, budget - hart.steps))
        try:
            code = port.poll()
        except ValueError as error:
            return result(Verdict.STUCK, str(error))
        if code is not None:
            return result(Verdict.FAIL, f"test {code} failed", code) if code else result(Verdict.PASS, "pass")
        if stop.reason is not StopReason.BUDGET:
            return result(Verdict.STUCK, f"no verdict: {stop.reason.value}")
    return result(Verdict.HUNG, f"no verdict after {budget:,} steps, pc {hart.pc:#x}")
