"""What predict mode asks, and what became of it: the instruction that the guest stands at, where its address leads, and
which exits there were since a question was asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...errors import ConfigError, OptionError
from ...isa.paging import PAGE_SIZE
from ..exits import N_REASONS, label
from ..inspector.names import resolve
from ..walker import FETCH
from .card.code import CodeAt, code_at
from .card.event import ACCESS_NAMES, accessed
from .card.next import memory_event
from .standing import Standing, guest_mode, stand

if TYPE_CHECKING:
    from ..inspector import Inspection, Inspector

NO_EXIT: Final = -1
"""As a guess: none."""

FAULT: Final = -1
"""As a guess: the access faults."""


@dataclass(frozen=True)
class Asked:
    """A question. step, exit, vcpu: where the guest stood when it was asked, as PredictView has them."""

    step: int
    exit: int
    vcpu: int


@dataclass(frozen=True)
class PredictView:
    """The guest now. step, exit, vcpu: the position; exit is the number of the exit it is at, or of the next.

    access, gva: of the instruction, or its own fetch if it touches no memory. leads: the GPA, None where it faults, for
    `fault`. happened: the reasons of the exits since a question was asked. over: why it cannot go on, "" if it can.
    """

    step: int
    exit: int
    vcpu: int
    technique: str
    mode: str
    code: CodeAt
    access: str
    gva: int
    leads: int | None
    fault: str
    happened: tuple[int, ...]
    is_running: bool
    over: str


def view_predict(inspection: Inspection, asked: Asked | None = None) -> PredictView:
    """What can be asked now, and what happened since `asked`."""
    inspector = inspection.inspector
    vcpu = inspector.vcpu
    code = code_at(inspector, vcpu)
    event = memory_event(inspector, vcpu, code.insn) or accessed(
        inspector, vcpu, code.pc, FETCH, vcpu.mode, is_guarded=False, is_first=False)
    standing, why = stand(inspector)
    is_over = standing in (Standing.OFF, Standing.CRASHED, Standing.ASLEEP)
    return PredictView(
        inspector.step, inspector.exit_number, vcpu.index, inspector.technique, guest_mode(vcpu), code,
        ACCESS_NAMES[event.access], event.gva, event.guest.result,
        event.guest.rule.text if event.guest.rule is not None else "", _since(inspector, asked), inspector.is_running,
        f"{standing}: {why}" if is_over else "")


def _since(inspector: Inspector, asked: Asked | None) -> tuple[int, ...]:
    log = inspector.log
    if log is None or asked is None:
        return ()
    end = log.first_at(inspector.step)
    exits = [log[number] for number in range(asked.exit, min(end, asked.exit + 1000))]
    return tuple(each.reason for each in exits if each.vcpu == asked.vcpu)


# --- guesses, as they are typed


def guessed_pc(inspector: Inspector, text: str) -> int:
    """An address, a symbol, or "+4" for pc+4. Raises OptionError."""
    text = text.strip()
    try:
        return resolve(inspector, f"pc{text}" if text.startswith(("+", "-")) else text)
    except ConfigError as error:
        raise OptionError(str(error)) from None


def guessed_reason(text: str, letters: dict[str, int]) -> int:
    """A reason by name, or by the beginning of one, or by letter; "no" is NO_EXIT. Raises OptionError."""
    word = text.strip().lower()
    if word in ("no", "none", "nothing"):
        return NO_EXIT
    if word.upper() in letters:
        return letters[word.upper()]
    fitting = [reason for reason, name in _names().items() if name.startswith(word) or name == word] if word else []
    exact = [reason for reason in fitting if _names()[reason] == word]
    if len(exact or fitting) == 1:
        return (exact or fitting)[0]
    raise OptionError(f"{text}: no, or a reason: {', '.join(sorted(_names().values()))}")


def _names() -> dict[int, str]:
    names = {}
    for reason in range(N_REASONS):
        try:
            names[reason] = label(reason).removeprefix("reflected ")
        except KeyError:  # an exception that does not exist
            continue
    return names


def guessed_address(text: str) -> int:
    """A GPA, or "fault" as FAULT. Raises OptionError."""
    if text.strip().lower() in ("fault", "faults", "no", "nowhere"):
        return FAULT
    try:
        return int(text.replace("_", ""), 0)
    except ValueError:
        raise OptionError(f"{text}: a guest physical address, such as 0x80200000, or fault") from None


def same_page(guess: int, truth: int) -> bool:
    """Whether a guess is right: the offset in the page is not what is asked."""
    return guess // PAGE_SIZE == truth // PAGE_SIZE
