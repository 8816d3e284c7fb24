"""Which code of the hypervisor's handled an exit, by name and line, and what of it a lab or a user put in its place."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ....isa.registers import NUMBER
from ... import sbi, traps
from ...emulate import emulate_access
from ...exit_log import LoggedExit
from ...exits import ExitReason
from ...gstage import GStage
from ...techniques.hosted import Hosted
from ...techniques.shadow_paging import ShadowPaged
from ...vm import Vm
from .event import Accessed, Event, Executed

if TYPE_CHECKING:
    from ...vcpu import Vcpu

_PACKAGE: Final = Path(__file__).resolve().parents[4]
_A6: Final = NUMBER["a6"]
_A7: Final = NUMBER["a7"]
_INSTRUCTIONS: Final = (ExitReason.CSR, ExitReason.SATP, ExitReason.SRET, ExitReason.SFENCE, ExitReason.WFI)
_ACCESSES: Final = (ExitReason.MMIO_LOAD, ExitReason.MMIO_STORE, ExitReason.PT_WRITE)


@dataclass(frozen=True)
class Called:
    """A function that took part. name: qualified, as Python has it. place: file and line. about: the first sentence of
    its documentation. is_replacement: it stands where the hypervisor has another, called `instead_of`."""

    name: str
    place: str
    about: str
    is_replacement: bool = False
    instead_of: str = ""


def called_for(vcpu: Vcpu, logged: LoggedExit, event: Event) -> tuple[Called, ...]:
    """What handled the exit, the handler in the technique's table first. vcpu: as it stands before."""
    return tuple(_calls(vcpu, logged, event))


def _calls(vcpu: Vcpu, logged: LoggedExit, event: Event) -> Iterator[Called]:
    technique, config = vcpu.technique, vcpu.vm.config
    if logged.reason == ExitReason.TIMER:
        yield describe(Vm._run_vcpu)
        return
    if not isinstance(technique, Hosted):
        yield describe(technique.run)
        return
    handler = technique.handlers.get(logged.cause)
    if handler is not None and logged.cause in config.handlers:
        stock = technique.stock_handlers().get(logged.cause)
        yield describe(handler, instead_of="nothing" if stock is None else _name(stock))
    elif handler is not None:
        yield describe(handler)
    if isinstance(event, Executed) and logged.cause not in config.handlers:
        yield from _for_instruction(vcpu, technique, event, logged)
    if logged.cause not in config.handlers and isinstance(event, Accessed):
        if isinstance(technique, ShadowPaged):   # that handler leaves all but devices whose place is known to
            yield describe(ShadowPaged.resolve_fault)
        yield from _for_access(vcpu, technique, event, logged)
    if logged.reason >= ExitReason.REFLECTED:
        yield describe(technique.reflect)
        yield describe(traps.inject)


def _for_instruction(vcpu: Vcpu, technique: Hosted, event: Executed, logged: LoggedExit) -> Iterator[Called]:
    if logged.reason == ExitReason.SBI:
        yield describe(sbi.call)
        function = sbi.function_of(vcpu.hart.read_gpr(_A7), vcpu.hart.read_gpr(_A6))
        if function is not None:
            yield describe(function)
        return
    found = technique.instructions.find(event.insn)
    if found is not None and event.decoded is not None:
        stock = technique.instructions.stock(event.decoded.name)
        is_replaced = event.decoded.name in vcpu.vm.config.instruction_handlers
        yield describe(found[1], instead_of=("nothing" if stock is None else _name(stock)) if is_replaced else "")


def _for_access(vcpu: Vcpu, technique: Hosted, event: Accessed, logged: LoggedExit) -> Iterator[Called]:
    if logged.reason == ExitReason.GSTAGE_FILL:
        yield describe(GStage.map)
    if logged.reason == ExitReason.SHADOW_FILL and isinstance(technique, ShadowPaged):
        yield describe(technique.pager.fill)
    if logged.reason in _ACCESSES:
        yield describe(emulate_access)
    if logged.reason == ExitReason.PT_WRITE and isinstance(technique, ShadowPaged):
        yield describe(technique.pager.guest_stored)
        yield describe(technique.pager.policy.table_written)
    if logged.reason in (ExitReason.MMIO_LOAD, ExitReason.MMIO_STORE):
        for region, device in vcpu.vm.bus.slots:
            if region.base <= event.gpa < region.end:
                yield describe(device.load if logged.reason == ExitReason.MMIO_LOAD else device.store)


def describe(function: Callable[..., Any], *, instead_of: str = "") -> Called:
    """A function, method or object that can be called."""
    code = _code(function)
    place = ""
    if code is not None:
        place = f"{_shown(Path(code.co_filename))}:{code.co_firstlineno}"
    about = (inspect.getdoc(_bare(function)) or "").split("\n\n")[0].replace("\n", " ")
    return Called(_name(function), place, about, bool(instead_of), instead_of)


def _bare(function: Any) -> Any:
    """Without what is wrapped around it."""
    while isinstance(function, functools.partial):
        function = function.func
    function = inspect.unwrap(function)
    if not hasattr(function, "__qualname__"):
        function = type(function).__call__
    return getattr(function, "__func__", function)


def _code(function: Any) -> Any:
    return getattr(_bare(function), "__code__", None)


def _name(function: Any) -> str:
    name: str = _bare(function).__qualname__
    return name.replace(".<locals>", "")


def _shown(path: Path) -> str:
    """Of ours, from the package's folder on; of others', from where the user stands."""
    for root in (_PACKAGE, Path.cwd()):
        if path.resolve().is_relative_to(root):
            return path.resolve().relative_to(root).as_posix()
    return str(path)
