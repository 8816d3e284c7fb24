"""Lab 0, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..judge.common import mutation, prediction
from ..lab import Check, Lab, Question, Task
from . import checks, questions, versions

QUESTIONS: Final = (
    Question("reach_of_branch", questions.ask_branch, questions.branch),
    Question("words_of_custom", questions.ask_custom, questions.custom))

LAB: Final = Lab(
    number=0, name="decode", title="Encode and decode",
    concept="instruction formats, sign extension, and why tables beat if-chains",
    folder=Path(__file__).parent, kit=("isa", "remote"), versions="hartvisor.labs.lab00_decode.versions",
    questions=QUESTIONS,
    tasks=(
        Task("extend", "Sign extension"), Task("decode", "From bits to operands"), Task("encode", "And back"),
        Task("constants", "Constants in few instructions"), Task("bugs", "Bugs in riscv-assembler 1.2.1"),
        Task("tests", "Tests that find bugs"), Task("predict", "Foresee")),
    checks=(
        Check("sign-extend", "extend", "sign_extend on every width", 8, checks.sign_extend),
        Check("decode-registers", "decode", "R, unary, amo, lr, hlv, hsv: the registers", 6,
              checks.decoding(("R", "unary", "amo", "lr", "hlv", "hsv"), rounds=1)),
        Check("decode-immediates", "decode", "I and S: twelve bits, signed", 8, checks.decoding(("I", "S"))),
        Check("decode-jumps", "decode", "B and J: bits in disorder", 8, checks.decoding(("B", "J"))),
        Check("decode-upper", "decode", "U, shifts and csr: signed or not", 6,
              checks.decoding(("U", "I-shift", "I-shiftw", "csr"))),
        Check("decode-all", "decode", "every row of the table; the more specific row wins", 8, checks.decoding(()),
              cpu=0.04),
        Check("decode-illegal", "decode", "what is no instruction is None", 6, checks.illegal, "negative"),
        Check("encode", "encode", "encode is decode's inverse, on every row", 10, checks.encoding),
        Check("encode-refuses", "encode", "what does not fit is a ValueError", 6, checks.refusing),
        Check("constants", "constants", "load_constant's words leave the constant in a0; few words, more points", 8,
              checks.constants, "band"),
        Check("found-bugs", "bugs", "three kinds of bugs in riscv-assembler, confirmed", 6, checks.finds),
        mutation("tests", 12, versions.BROKEN),
        *(prediction(question, "predict", 4) for question in QUESTIONS)))
