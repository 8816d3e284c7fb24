"""The thread in which guests run. It owns the inspection: what the UI wants done or seen goes to it in a queue, and
what it saw comes back as frames.

    UI thread                                  engine thread
      do(action) ───────────────────────────>    action(inspection), which may be a move: driven slice by slice
      look({panel: collector}) ─────────────>    collector(inspection) for each, at once, then at most every 50 ms
      Frame, Rested, Told <─────────────────     posted as messages; no more frames until the last one is painted

Between two slices, a hundredth of a second each, the queue is looked at; so a guest that runs flat out can be stopped.
Guests asleep sleep in real time, up to MAX_NAP at once: a shell at its prompt costs nothing.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Mapping
from typing import Any, Final

from textual.message import Message

from ...core.errors import HartvisorError
from ...core.machine.board import CONSOLE
from ...core.vmm.inspector import Inspection, Inspector, Moves
from ...core.vmm.inspector.moves import go_on
from ...core.vmm.inspector.names import words
from .collecting import Collector, collect_views
from .messages import Frame, Rested, Told

Action = Callable[[Inspection], "Moves | None"]
"""Does something with the inspection; a move that it returns is the current VM's, and is driven to its end."""

FRAME_SECONDS: Final = 0.05
"""Between two frames while guests run: 20 a second at most."""

WHOLE_SECONDS: Final = 0.2
"""Between two frames with all panels while guests run; those between have the one that has the keyboard, so that a
large screen takes little longer to be painted than a small one."""

MAX_FRAME_SECONDS: Final = 0.5
"""And two a second at least, whatever painting takes."""

MAX_NAP: Final = 0.05

COURTESY: Final = 0.1
"""Seconds that guests which run on and on rest when a key was pressed: Python runs one thread at a time, and the screen
is painted by another."""

PAINT_SECONDS: Final = 0.02
"""And so many, at most, while a frame is painted: side by side both take twice as long, and a key that comes meanwhile
waits for both."""

STEP_SECONDS: Final = 0.25
"""For so long a move goes on before the next key can end it; steps take less, in both directions."""


class Cancelled(Exception):
    """The move that is going on is no longer wanted."""


class Engine:
    """The thread. post: puts a message into the app's queue, from any thread."""

    def __init__(self, inspection: Inspection, post: Callable[[Message], Any]) -> None:
        self.inspection = inspection
        self._post = post
        self._requests: deque[Callable[[], None]] = deque()
        self._has_news = threading.Event()
        self._wants_pause = False
        self._wanted: Mapping[str, Collector] = {}
        self._often: Mapping[str, Collector] = self._wanted
        self._moves: dict[Inspector, Generator[None, None, Any]] = {}
        self._begun: dict[Inspector, float] = {}    # when each of them did
        self._wakes: dict[Inspector, float] = {}
        self._going: set[Inspector] = set()
        self._sleepers: set[Inspector] = set()
        self._is_busy = self._is_moving = self._is_going = False    # for those who wait, from other threads
        self._is_painted = threading.Event()
        self._is_painted.set()
        self._is_stale = False
        self._last_frame = self._last_whole = 0.0
        self._painting = 0.0                        # seconds that the last frame took to be on the screen
        self._resume_at = 0.0
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._adopt()

    # --- for the UI's thread

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for that."""
        self._is_stopping = True
        self._has_news.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.inspection.close()

    def name_of(self, index: int) -> str:
        """A VM's name."""
        return self.inspection.inspectors[index].name

    def learn_words(self, give: Callable[[list[str]], None]) -> None:
        """The names that the VM looked at knows just now, to be suggested, to whoever wants them; from our thread."""
        self._put(lambda: give(words(self.inspection.inspector)))

    def select(self, index: int) -> None:
        """Look at another VM."""
        self.do(lambda inspection: inspection.select(index))

    def turn(self, by: int) -> None:
        """Look at the next VM, or the one before."""
        self.do(lambda inspection: inspection.select(inspection.current + by))

    def do(self, action: Action) -> None:
        """Have something done. Errors of the user's come back as Told."""
        self._put(lambda: self._do(action))

    def look(self, wanted: Mapping[str, Collector], often: Collection[str] | None = None) -> None:
        """From now on this is what the panels want to see. often: those of them that are to be seen in every frame
        while guests run; the others are in some of them. None: all."""
        self._put(lambda: self._look(wanted, often))

    def painted(self) -> None:
        """The last frame is on the screen."""
        self._painting = time.monotonic() - self._last_frame
        self._is_painted.set()
        self._has_news.set()

    def give_way(self) -> None:
        """A key was pressed that is not a guest's: what the user sees of it comes first."""
        self._resume_at = time.monotonic() + COURTESY

    def is_still(self, *, ignores_running: bool = True) -> bool:
        """Whether nothing waits to be done or shown; but VMs that run on and on may be ignored."""
        is_running = self._is_moving or (self._is_going and not ignores_running)
        is_shown = self._is_going or (self._is_painted.is_set() and not self._is_stale)
        return not self._requests and not self._is_busy and not is_running and is_shown

    def pause(self) -> None:
        """Stop the VM looked at, on its way back in time too."""
        self._wants_pause = True
        self.do(lambda inspection: self._halt(inspection.inspector))

    def toggle(self) -> None:
        """Let the VM looked at run on, or pause it if it moves."""
        if self.inspection.inspector in self._moves:
            self.pause()
        else:
            self._put(self._toggle)

    def toggle_at(self, index: int) -> None:
        """Look at a VM, and let it run on, or pause it."""

        def select_and_toggle() -> None:
            self.inspection.select(index)
            self._toggle()

        self._put(select_and_toggle)

    def go_all(self) -> None:
        """Let all VMs run on."""
        self._put(self._go_all)

    def pause_all(self) -> None:
        """Pause all VMs."""
        self._wants_pause = True
        self._put(self._halt_all)

    def type_to(self, index: int, data: bytes, *, is_answer: bool = False) -> None:
        """The user types to a VM's console; one that slept goes on. is_answer: it is the terminal that answers what the
        guest has asked it, which in the past it has done already."""
        self._put(lambda: self._type(self.inspection.inspectors[index], data, is_answer))

    def _put(self, request: Callable[[], None]) -> None:
        self._requests.append(request)
        self._has_news.set()

    # --- the thread

    def _run(self) -> None:
        while not self._is_stopping:
            self._take_requests()
            self._run_slices()
            self._publish()
            self._note()

    def _note(self) -> None:
        """For those who wait until all is still."""
        self._is_moving = bool(self._moves.keys() - self._going)
        self._is_going = bool(self._going)
        self._is_busy = False

    def _take_requests(self) -> None:
        """What waits in the queue; and if there is nothing else to do, wait for it."""
        patience = self._patience()
        if (not self._requests or self._is_in_step()) and patience != 0:
            self._has_news.wait(patience)
        self._is_busy = bool(self._requests)
        self._has_news.clear()
        while self._requests and not self._is_stopping and not self._is_in_step():
            self._requests.popleft()()

    def _is_in_step(self) -> bool:
        """Whether a move that has an end of its own has only just begun. The next key would end it where it is, and of
        steps whose key is held down, backwards above all, none would come about."""
        latest = time.monotonic() - STEP_SECONDS
        return not self._wants_pause and any(
            self._begun[inspector] > latest for inspector in self._moves if inspector not in self._going)

    def _patience(self) -> float | None:
        """How long nothing will happen by itself, in seconds; None: for ever."""
        now = time.monotonic()
        waits = [max(0.0, self._awake_at(inspector) - now) for inspector in self._moves]
        if self._is_stale:
            is_painted = self._is_painted.is_set()
            waits.append(max(0.0, self._next_frame - now) if is_painted else FRAME_SECONDS)
        return min(waits) if waits else None

    def _adopt(self) -> None:
        """Be asked by every timeline, also those of VMs that have just come, whether to go on."""
        for inspector in self.inspection.inspectors:
            if inspector.timeline is not None:
                inspector.timeline.poll = self._poll

    def _do(self, action: Action) -> None:
        self._is_stale = True
        try:
            move = action(self.inspection)
        except HartvisorError as error:
            self._post(Told(str(error), "error"))
            return
        self._adopt()
        if move is not None:
            self._go(self.inspection.inspector, move)

    def _go(self, inspector: Inspector, move: Moves, *, is_going: bool = False) -> None:
        """Begin a move; the one that is under way ends where it is. is_going: it has no end of its own."""
        self._drop(inspector)
        inspector.begin_move()
        self._moves[inspector] = move
        self._begun[inspector] = time.monotonic()
        self._sleepers.discard(inspector)
        if is_going:
            self._going.add(inspector)
            inspector.is_running = True     # though a key's paint may come before its first slice

    def _look(self, wanted: Mapping[str, Collector], often: Collection[str] | None) -> None:
        self._wanted = wanted
        self._often = {name: wanted[name] for name in often} if often is not None else wanted
        self._show()

    def _halt(self, inspector: Inspector) -> None:
        self._wants_pause = False
        self._sleepers.discard(inspector)
        if inspector in self._moves:
            self._drop(inspector)
            self._rest(inspector, inspector.stopped("PAUSED", "paused"))

    def _go_all(self) -> None:
        for inspector in self.inspection.inspectors:
            if inspector not in self._moves:
                self._go(inspector, go_on(inspector), is_going=True)

    def _halt_all(self) -> None:
        for inspector in self.inspection.inspectors:
            self._halt(inspector)

    def _toggle(self) -> None:
        inspector = self.inspection.inspector
        if inspector in self._moves or inspector in self._sleepers:
            self._halt(inspector)
        else:
            self._wants_pause = False
            self._go(inspector, go_on(inspector), is_going=True)

    def _drop(self, inspector: Inspector) -> None:
        """Let a move go, wherever it is."""
        move = self._moves.pop(inspector, None)
        self._begun.pop(inspector, None)
        self._wakes.pop(inspector, None)
        self._going.discard(inspector)
        inspector.is_running = False
        if move is not None:
            move.close()

    def _type(self, inspector: Inspector, data: bytes, is_answer: bool) -> None:
        if is_answer and (inspector.is_past or inspector.vm.inputs.is_closed):
            return
        if inspector.vm.inputs.is_closed:
            self._post(Told("this is a recording: nothing can be typed into it", "warning"))
            return
        ahead, tree = inspector.end - inspector.step, inspector.snapshots
        known = len(tree.lines) if tree is not None else 0
        inspector.vm.inputs.push(CONSOLE, data)
        if ahead and tree is not None:
            fate = "kept in the snapshot tree" if len(tree.lines) > known else "forgotten"
            self._post(Told(f"typed in the past: another future begins here; the {ahead:,} steps that lay ahead are "
                            f"{fate}", "warning"))
        self._is_stale = True
        if inspector in self._sleepers:
            self._go(inspector, go_on(inspector), is_going=True)
        self._wakes.pop(inspector, None)

    # --- running

    def _run_slices(self) -> None:
        """One slice of every VM that is awake."""
        for inspector, move in tuple(self._moves.items()):
            if self._is_stopping:
                return
            if self._awake_at(inspector) <= time.monotonic():
                self._run_slice(inspector, move)

    def _run_slice(self, inspector: Inspector, move: Generator[None, None, Any]) -> None:
        inspector.is_running = True
        self._is_stale = True
        idle, began = inspector.idle_seconds, time.thread_time()
        steps, exits = inspector.vm.active_steps, sum(inspector.vm.exits)
        try:
            next(move)
        except StopIteration as done:
            self._rest(inspector, done.value)
        except HartvisorError as error:
            self._post(Told(str(error), "error"))
            self._rest(inspector, inspector.stopped("REFUSED", str(error)))
        except Cancelled:
            self._rest(inspector, inspector.stopped("PAUSED", "paused"))
        self.inspection.rates.note(inspector, inspector.vm.active_steps - steps, sum(inspector.vm.exits) - exits,
                                   time.thread_time() - began)
        napped = inspector.idle_seconds - idle
        if napped > 0:
            self._wakes[inspector] = time.monotonic() + min(napped, MAX_NAP)

    def _awake_at(self, inspector: Inspector) -> float:
        """When its next slice may begin: it sleeps, or gives way to a key, or to a frame that is painted."""
        wake = self._wakes.get(inspector, 0.0)
        if inspector not in self._going:
            return wake
        return max(wake, self._resume_at, 0.0 if self._is_painted.is_set() else self._last_frame + PAINT_SECONDS)

    def _rest(self, inspector: Inspector, halt: Any) -> None:
        self._drop(inspector)
        if inspector.is_asleep:
            self._sleepers.add(inspector)
        self._show()
        self._post(Rested(self.inspection.inspectors.index(inspector), halt))

    def _poll(self) -> None:
        """Called by a timeline on its way, which may be long: whether the user has had enough. Raises Cancelled."""
        if self._is_stopping or self._wants_pause:
            raise Cancelled

    # --- seeing

    def _publish(self) -> None:
        """Show what is new, if it is time to, and the last frame has been painted."""
        if self._is_stale and self._is_painted.is_set() and time.monotonic() >= self._next_frame:
            is_whole = not self._moves or time.monotonic() >= self._last_whole + WHOLE_SECONDS
            self._show(is_whole=is_whole or self._often is self._wanted)

    @property
    def _next_frame(self) -> float:
        """When the next may be shown: at once where nothing moves; else so that half of the time is left for keys,
        however long a large screen takes to be painted."""
        pause = min(max(FRAME_SECONDS, 2 * self._painting), MAX_FRAME_SECONDS)
        return self._last_frame + pause if self._moves else 0.0

    def _show(self, *, is_whole: bool = True) -> None:
        views, failures = collect_views(self.inspection, self._wanted if is_whole else self._often)
        if is_whole:
            self._last_whole = time.monotonic()
        self._is_stale = not is_whole
        self._last_frame = time.monotonic()
        self._is_painted.clear()
        self._post(Frame(views, failures))

