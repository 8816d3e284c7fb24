"""The guided tour: what is on the screen, on whatever guest is there, in two minutes. Each stop brings up a panel, and
some take the guest a little further, so that there is something to see."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Markdown

if TYPE_CHECKING:
    from ..app import HartvisorApp


class TourStop(NamedTuple):
    """One page. panel: brought up with it. action: of the app's, done when it is reached, "" for none."""

    panel: str
    action: str
    text: str


STOPS: Final = (
    TourStop("code", "", """\
## One guest, under glass

The guest runs in a virtual machine of ours, and stands still now. **Code** shows where. `s` takes one step, `n`
steps over a call, `c` lets it run and pauses it. With shift, `S`, `N`, `C`, time runs **backwards**: every step can
be had again, as often as you like."""),
    TourStop("card", "action_first_exit", """\
## Why did it trap?

We just went to the first *translation exit*: the guest touched a page for which the hypervisor had no entry yet.
The **card** tells the whole story: the instruction, the rule that made it trap with the manual's section, the
handler in the hypervisor, what changed, where the guest goes on, and which technique would have avoided the exit.
`e` goes to the next exit, `E` to the one before, `u` walks through the hypervisor's work stage by stage."""),
    TourStop("walk", "", """\
## The page walk

How the address is translated, level by level: the guest's own tables on one side; beside them those that the
hypervisor keeps, shadow tables or G-stage tables, as the technique has it. Enter on an entry shows it in memory;
`r` goes back in time to whoever wrote it last."""),
    TourStop("timeline", "", """\
## All exits, in time

Along the bottom lies every exit there was, a letter for each cause. Move in it with the arrows, or click: the guest
is then *there*. `g` goes to any step (`#1M`), exit (`!45`), symbol or address."""),
    TourStop("registers", "", """\
## Two truths

Registers, and CSRs by field; and beside what the guest believes, what the real hart holds: a deprivileged kernel
thinks that it is in S-mode, and is in U. What the last move changed is marked."""),
    TourStop("vms", "", """\
## The machines

All VMs, what they cost, and their consoles: on the console's tab (`]`) every key goes to the guest; ctrl+a and a
key comes back to us. `Tab` looks at the next VM, `p` keeps this moment in the tree of snapshots.

`?` has all keys, `:` takes commands, `z` gives a panel the whole screen. That was the tour; Escape ends it."""),
)


class TourScreen(ModalScreen[None]):
    """A page at the bottom of the screen, and the panel that it speaks of above."""

    DEFAULT_CSS = """
    TourScreen {
        align: center bottom; background: transparent;
        & > Vertical {
            width: 100%; max-width: 120; height: auto; max-height: 60%; border: heavy $accent; background: $surface;
            padding: 0 1;
        }
        Markdown { height: auto; margin: 0; padding: 0; background: $surface; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space,right,n", "turn(1)", "Next"),
        Binding("left,backspace,p", "turn(-1)", "Back"),
        Binding("escape,q", "dismiss", "Skip the tour"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._stop = 0

    @property
    def glass(self) -> HartvisorApp:
        """The app."""
        return cast("HartvisorApp", self.app)

    def compose(self) -> ComposeResult:
        """A page."""
        with Vertical():
            yield Markdown("")

    def on_mount(self) -> None:
        """The first page."""
        self._show()

    def action_turn(self, by: int) -> None:
        """Another page; behind the last the tour ends."""
        self._stop += by
        if self._stop >= len(STOPS):
            self.dismiss()
            return
        self._stop = max(0, self._stop)
        self._show()

    def _show(self) -> None:
        stop = STOPS[self._stop]
        keys = f"*{self._stop + 1} of {len(STOPS)}* · **enter** next · **←** back · **escape** skips the tour"
        self.query_one(Markdown).update(f"{stop.text}\n\n{keys}")
        self.glass.main.focus_panel(stop.panel)
        if stop.action:
            getattr(self.glass, stop.action)()
