"""Kernels for a machine with holes, and that machine: bare, and with a hypervisor that knows what was patched."""

from __future__ import annotations

from random import Random
from typing import Final

from ...core.hart import Exit
from ...core.isa import causes
from ...core.isa.registers import ABI
from ...core.vmm.exits import HANDLED, REFLECT, ExitReason
from ...core.vmm.guest_isa import GUEST_ISA
from ...core.vmm.techniques.bare import Bare
from ...core.vmm.techniques.hosted import Hosted, csr_number
from ...core.vmm.vcpu import Vcpu
from ..judge.guests import Guest
from ..judge.lockstep import Lockstep
from ..judge.session import Stopped
from ..judge.trial import Trial
from ..judge.verdict import Status
from ..judge.writing import SHUTDOWN
from ..kit.hart import USER
from ..kit.sensitive import Patched
from .box import HOLES, SHOWN, Custom, Seen, customs, find_custom

ISA: Final = GUEST_ISA - {"Zihpm"}
WORD_SIZE: Final = 4
NAMES: Final = tuple(HOLES)
REGISTERS: Final = ("t0", "t1", "t2", "t3", "t4", "a2", "a3", "a4")

BEGIN: Final = """
_start:
    la t0, handler
    csrw stvec, t0
    j main
handler:
    csrr s9, sepc
    addi s9, s9, 4
    csrr s10, scause
    slli s11, s11, 1
    xor s11, s11, s10
    li s8, 8
    bne s10, s8, back
    li s8, 0x100
    csrs sstatus, s8
back:
    csrw sepc, s9
    sret
main:
"""


class Kernel:
    """A program with custom instructions in it. users: the indices of words that only user mode executes."""

    def __init__(self, random: Random, length: int = 30) -> None:
        self._random = random
        self.customs = customs(random, NAMES)
        self._lines: list[str] = []
        marks: list[str] = []
        for number in range(length):
            if random.random() < 0.3:
                marks.append(f"user{number}")
                self._user(number)
            else:
                self._supervisor(number)
        text = BEGIN + "\n".join(line if line.endswith(":") else f"    {line}" for line in self._lines) + SHUTDOWN
        self.guest = Guest.of(text, "kernel.s")
        self.words = _words(self.guest.program.code)
        base, symbols = self.guest.program.base, self.guest.program.symbols
        self.users = [index for mark in marks for index in range(
            symbols[mark] - base >> 2, symbols[mark.replace("user", "end")] - base >> 2)]

    def _custom(self, name: str, rd: str, rs1: str) -> str:
        custom = next(each for each in self.customs if each.name == name)
        return f".word {custom.word(ABI.index(rd), ABI.index(rs1)):#x}  # {name} {rd}, {rs1}"

    def _register(self) -> str:
        return self._random.choice(REGISTERS)

    def _supervisor(self, number: int) -> None:
        """Something in S-mode; SIE may be on, since nothing is enabled."""
        random, emit = self._random, self._lines.append
        name = random.choice((*NAMES, "plain"))
        if name == "popf":
            emit(f"li t5, {random.choice((0, 2, 3, 0xFF)):#x}")
            emit(self._custom(name, "zero", "t5"))
            emit(f"csrr {self._register()}, sstatus")
        elif name == "jrst":
            emit(f"la t5, there{number}")
            emit(self._custom(name, "zero", "t5"))
            emit("ebreak")
            emit(f"there{number}:")
            emit("ecall")
        elif name == "plain":
            emit(f"li t5, {random.getrandbits(60):#x}")
            emit(f"csrw {random.choice(('sscratch', 'stval'))}, t5")
        else:
            emit(self._custom(name, self._register(), self._register()))
            emit(f"xor s11, s11, {self._register()}")

    def _user(self, number: int) -> None:
        """The same in U-mode."""
        random, emit = self._random, self._lines.append
        for line in (f"la t6, user{number}", "csrw sepc, t6", "li t6, 0x100", "csrc sstatus, t6", "sret",
                     f"user{number}:"):
            emit(line)
        for place in range(random.randrange(1, 5)):
            name = random.choice(NAMES)
            if name == "jrst":
                emit(f"la t5, on{number}x{place}")
                emit(self._custom(name, "zero", "t5"))
                emit(f"on{number}x{place}:")
            else:
                emit(self._custom(name, "zero" if name == "popf" else self._register(), self._register()))
            emit(f"add s11, s11, {self._register()}")
        emit("ecall")
        emit(f"end{number}:")
        emit("csrr t0, sstatus")


def _words(code: bytes) -> list[int]:
    return [int.from_bytes(code[place:place + WORD_SIZE], "little") for place in range(0, len(code), WORD_SIZE)]


def execute(vcpu: Vcpu, custom: Custom, word: int, mode: int, csrs: dict[int, int]) -> None:
    """A custom instruction in a mode, with these CSRs: one step."""
    hart = vcpu.hart
    found = custom.act(Seen(mode, hart.pc, hart.read_gpr(word >> 15 & 31), csrs))
    assert found is not None
    if found.rd is not None:
        hart.write_gpr(word >> 7 & 31, found.rd)
    for number, value in found.csrs.items():
        if value != csrs[number]:
            vcpu.csrs.write(number, value)
    if found.mode != mode:
        vcpu.mode = found.mode
    if found.pc == hart.pc + WORD_SIZE:
        hart.retire()
    else:
        hart.retire(0)
        hart.pc = found.pc


def own_csrs(vcpu: Vcpu) -> dict[int, int]:
    """The guest's."""
    return {number: vcpu.csrs.read(number) for number in SHOWN}


def real_csrs(vcpu: Vcpu) -> dict[int, int]:
    """The hart's, on which a deprivileged guest runs."""
    return {number: vcpu.hart.read_csr(number) for number in SHOWN}


class Deprivileging:
    """The student's patched kernel under the real hypervisor, on a machine with holes, beside the bare one."""

    def __init__(self, trial: Trial, kernel: Kernel, patched: Patched, most: int = 20_000) -> None:
        self._customs = kernel.customs
        self._originals = patched.originals
        self._base = kernel.guest.program.base
        self.patches = 0
        found = self._customs

        class HoledBare(Bare):
            """The machine without a hypervisor: illegal instructions are looked at, for some are none."""

            def enter_world(self) -> None:
                """As shipped; they are not delegated."""
                super().enter_world()
                medeleg = self.hart.read_csr(csr_number("medeleg"))
                self.hart.write_csr(csr_number("medeleg"), medeleg & ~causes.bits(causes.ILLEGAL_INSTRUCTION))

            def handle_instruction(self, vcpu: Vcpu, exit: Exit) -> bool:
                """The machine's own, in the hart's mode."""
                custom = find_custom(found, exit.tval)
                if custom is None:
                    return REFLECT
                execute(vcpu, custom, exit.tval, vcpu.mode, own_csrs(vcpu))
                return HANDLED

        code = b"".join(word.to_bytes(WORD_SIZE, "little") for word in patched.words)
        guest = kernel.guest
        handlers = dict.fromkeys((causes.ILLEGAL_INSTRUCTION, causes.BREAKPOINT, causes.ECALL_FROM_U), self.trap)
        config = guest.config("deprivileged", isa=ISA, handlers=handlers)
        self.lockstep = Lockstep(trial, guest, config, most, HoledBare)
        vm = self.lockstep.vm
        vm.ram.write(self._base, code)
        technique = vm.vcpus[0].technique
        assert isinstance(technique, Hosted)
        self._stock = technique.stock_handlers()

    def run(self, budget: int) -> dict[str, int]:
        """Run the guest to its end; what was counted. Raises Diverged, OutOfFuel."""
        self.lockstep.run(budget)
        vm = self.lockstep.vm
        return {"patches": self.patches, "exits": sum(vm.exits), "instructions": vm.instructions}

    def trap(self, vcpu: Vcpu, exit: Exit) -> bool:
        """What trapped in the real user mode: a patch, a hole, or what always traps."""
        original = self._originals.get(vcpu.hart.pc - self._base >> 2)
        custom = find_custom(self._customs, exit.tval if original is None else original)
        if original is not None and custom is not None:
            self.lockstep.enter(vcpu)
            self.patches += 1
            vcpu.exits[ExitReason.CSR] += 1
            execute(vcpu, custom, original, vcpu.mode, own_csrs(vcpu))
        elif exit.cause == causes.ILLEGAL_INSTRUCTION and custom is not None:
            self.lockstep.enter(vcpu)  # a hole: the hart executes it, in the mode that it is in, and nobody hears of it
            execute(vcpu, custom, exit.tval, USER, real_csrs(vcpu))
        else:
            stock = self._stock.get(exit.cause)
            return REFLECT if stock is None else stock(vcpu, exit)
        self.lockstep.leave(vcpu, {})
        return HANDLED


def checked(kernel: Kernel, said: object) -> Patched:
    """What deprivilege gave is a patched kernel at all. Raises Stopped."""
    if not isinstance(said, Patched) or not isinstance(said.words, list) or not isinstance(said.originals, dict):
        raise Stopped(Status.FAIL, f"deprivilege gave {said!r:.60}, where Patched is wanted")
    if len(said.words) != len(kernel.words):
        raise Stopped(Status.FAIL, f"deprivilege gave {len(said.words)} words for {len(kernel.words)}")
    for index, (word, old) in enumerate(zip(said.words, kernel.words, strict=True)):
        if type(word) is not int or not 0 <= word < 1 << 32:
            raise Stopped(Status.FAIL, f"word {index} is {word!r:.40}")
        if word != old and said.originals.get(index) != old:
            raise Stopped(Status.FAIL, f"word {index} is {word:#010x} now, and originals does not say that it was "
                          f"{old:#010x}")
        if index in said.originals and find_custom(kernel.customs, old) is None:
            raise Stopped(Status.FAIL, f"word {index}, {old:#010x}, is patched, and is none of the silent ones")
    if any(type(index) is not int or not 0 <= index < len(kernel.words) for index in said.originals):
        raise Stopped(Status.FAIL, "originals holds an index beyond the words")
    return said
