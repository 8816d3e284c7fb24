"""Asking a student's code, live or from the log of what it said before.

A *line* is where answers come from: `Live` asks jailed children and notes what they answer, `Logged` reads the notes.
`Session` speaks over a line: it packs arguments, serves what the code asks back, and unpacks the decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..jail import codec
from ..jail.process import Child, Death, End, Setup, never
from .verdict import Status

MAX_QUESTIONS = 5_000
"""What a student's code may ask while it answers one call: no task needs a tenth of it."""

Service = Callable[..., Any]
"""What a student's code can ask of the hypervisor. It raises Refused for a question that makes no sense."""


class Refused(Exception):
    """A question of the student's code that has no answer; there it is a ValueError with this text."""


class Stopped(Exception):
    """The check cannot go on, and this is its state and why."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Line(Protocol):
    """Where answers come from."""

    def exchange(self, message: bytes) -> bytes | Death:
        """The answer to a message."""


@dataclass
class Log:
    """All that a student's code decided, in the order in which it was asked. printed: to the console, cut."""

    answers: list[bytes | Death] = field(default_factory=list)
    printed: str = ""


class Live:
    """Jailed children that are asked the same, and must answer the same: one, or twins.

    log: what was answered. loaded: the answer to the first message. Close it.
    """

    def __init__(self, setup: Setup, first: bytes, log: Log, twins: int,
                 is_cancelled: Callable[[], bool] = never) -> None:
        self.log = log
        self._stack = ExitStack()
        try:
            self._children = [self._stack.enter_context(Child(setup, is_cancelled)) for _ in range(twins)]
            self.loaded = self.exchange(first)
        except BaseException:
            self._stack.close()
            raise

    def close(self) -> None:
        """Kill them."""
        self._stack.close()
        self.log.printed = self._children[0].output

    def exchange(self, message: bytes) -> bytes | Death:
        """What all answer. Raises Stopped where they differ."""
        for child in self._children:
            child.send(message)
        answers = [child.receive() for child in self._children]
        answer = next((each for each in answers if isinstance(each, Death) and each.end == End.TIMEOUT), answers[0])
        if not isinstance(answer, Death) and any(each != answer for each in answers):
            raise Stopped(Status.NONDETERMINISTIC, "asked the same twice, it answered differently: "
                          "an answer may depend on nothing but what it is given")
        self.log.answers.append(answer)
        return answer


class Logged:
    """The answers of a log, once more."""

    def __init__(self, log: Log) -> None:
        self._answers = iter(log.answers[1:])  # the first was to the loading

    def exchange(self, message: bytes) -> bytes | Death:
        """The next. Raises Stopped where there is none: then the guest ran otherwise than the first time."""
        answer = next(self._answers, None)
        if answer is None:
            raise Stopped(Status.HARNESS_ERROR, "the run asked for more decisions the second time")
        return answer


class Session:
    """One student's process, as a check sees it. services: what its code can ask, by name ("guest.load")."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.services: dict[str, Service] = {}
        self.calls = 0

    def call(self, target: str, *arguments: Any) -> Any:
        """Call "function", "Class.method" or "module:function" of the answer's. Arguments of classes that travel back
        become what the code made of them. Raises Stopped for whatever is no answer."""
        self.calls += 1
        try:
            reply = self._exchange({"call": target, "args": [codec.pack(each) for each in arguments]})
            asked = 0
            while "ask" in reply:
                asked += 1
                if asked > MAX_QUESTIONS:
                    raise Stopped(Status.FUEL, f"{target} asked the hypervisor more than {MAX_QUESTIONS:,} times")
                reply = self._exchange(self._serve(reply))
            if "raise" in reply:
                raise Stopped(*explain(reply, target))
            codec.apply_changes(arguments, reply["args"])
            return codec.unpack(reply["ret"])
        except (codec.BadValue, KeyError) as error:
            raise Stopped(Status.CRASH, f"{target} gave {error}") from None

    def _exchange(self, message: dict[str, Any]) -> dict[str, Any]:
        answer = self._line.exchange(codec.dump(message))
        if isinstance(answer, Death):
            raise Stopped(Status(answer.end.value), answer.message)
        return codec.parse(answer)

    def _serve(self, question: Mapping[str, Any]) -> dict[str, Any]:
        service = self.services.get(question["ask"]) if isinstance(question["ask"], str) else None
        if service is None:
            return {"raise": f"{str(question['ask'])[:80]}: there is nothing of this name to ask"}
        arguments = [codec.unpack(each) for each in question["args"]]
        before = [codec.pack(each) if codec.travels_back(each) else None for each in arguments]
        try:
            result = service(*arguments)
        except Refused as refusal:
            return {"raise": str(refusal)}
        except TypeError:
            return {"raise": f"{question['ask']}: not with {len(arguments)} arguments of these kinds"}
        return {"ret": codec.pack(result), "args": codec.changed_arguments(arguments, before)}


def explain(reply: Mapping[str, Any], target: str) -> tuple[Status, str]:
    """What an exception in the student's code means."""
    text, where = str(reply["raise"])[:600], str(reply.get("where", ""))[:100]
    at = f" ({where})" if where else ""
    if reply.get("kind") == "NotImplementedError":
        return Status.FAIL, f"{target} is not written yet{at}"
    if reply.get("kind") == "MemoryError":
        return Status.CRASH, f"out of memory in {target}{at}"
    return Status.CRASH, f"{target} raised {text}{at}"


def need(kind: type[Any], value: Any, what: str) -> Any:
    """The value, which must be of this very kind (True is no int). Raises Stopped: the student's mistake."""
    if type(value) is not kind:
        raise Stopped(Status.FAIL, f"{what} is {value!r:.60}, where {_article(kind.__name__)} is wanted")
    return value


def number(value: Any, what: str, bits: int = 64) -> int:
    """An unsigned number of so many bits, for services. Raises Refused."""
    if type(value) is not int or not 0 <= value < 1 << bits:
        raise Refused(f"{what} must be an unsigned number of {bits} bits, not {value!r:.60}")
    return value


def _article(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"
