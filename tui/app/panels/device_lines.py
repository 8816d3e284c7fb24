"""What the devices panel paints: interrupts, rings, registers, requests and frames."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Final

from textual.content import Content

from ....core.vmm.views.interrupts import InterruptsView, SourceRow, VcpuRow
from ....core.vmm.views.rings import ChainView, QueueView, SlotRow, VirtioView
from ....core.vmm.views.traffic import CardRow, DiskRow, DisksView, NetworkView
from ....core.vmm.views.uart import UartView
from ..widgets.spark import size_text

MUTED: Final = "$text-muted"
TWO_COLUMNS: Final = 84
"""Columns from which on registers stand beside the log."""


def prose(text: str, width: int, style: str = MUTED) -> list[Content]:
    """Text that goes on in the next line where it has to."""
    return [Content.styled(part, style) for part in wrap(text, max(20, width))]


def fit(lines: Sequence[Content], width: int) -> list[Content]:
    """Each line, cut off with an ellipsis where it is too long."""
    return [line if line.cell_length <= width else line.rstrip().truncate(width, ellipsis=True) for line in lines]


# --- interrupts


def interrupt_lines(view: InterruptsView, width: int) -> list[Content]:
    """The matrix of the PLIC, then what each vCPU makes of it."""
    n_vcpus = len(view.vcpus)
    heads = " ".join(f"{f'vCPU {vcpu.index}':>6}" for vcpu in view.vcpus)
    lines = [
        *prose("PLIC: L line high, P pending, C claimed and not completed, E enabled", width),
        Content.styled(f"source {'':16} state prio  {heads}", MUTED)]
    lines += [_source(row) for row in view.sources]
    thresholds = " ".join(f"{f'>{vcpu.threshold}':>6}" for vcpu in view.vcpus)
    outputs = " ".join(f"{'SEI' if vcpu.external else '-':>6}" for vcpu in view.vcpus)
    lines += [Content.styled(f"{'priority has to be':33}  {thresholds}", MUTED),
              Content.assemble((f"{'to the hart':33}  ", MUTED), (outputs, "bold"))]
    for vcpu in view.vcpus:
        lines += [Content(""), *_vcpu(vcpu, n_vcpus)]
    return fit(lines, width)


def _source(row: SourceRow) -> Content:
    state = Content.assemble(
        ("L", "$success bold") if row.level else ("·", MUTED), " ",
        ("P", "$warning bold") if row.is_pending else ("·", MUTED), " ",
        ("C", "$accent bold") if row.is_claimed else ("·", MUTED))
    enabled = [(f"{'E' if each else '·':>6} ", "" if each else MUTED) for each in row.enabled]
    return Content.assemble(f"{row.number:>4}   {row.device[:16]:16} ", state, f" {row.priority:>4}  ", *enabled)


def _vcpu(vcpu: VcpuRow, n_vcpus: int) -> list[Content]:
    name = f"vCPU {vcpu.index}  " if n_vcpus > 1 else ""
    heard = "lets interrupts in" if vcpu.sie or vcpu.mode == "U" else "keeps interrupts out"
    sleep = "  asleep" if vcpu.is_asleep else ""
    lines = [Content.assemble((name, "bold"), f"{vcpu.mode}-mode, sstatus.SIE={int(vcpu.sie)}: {heard}{sleep}")]
    if vcpu.taken_next:
        lines.append(Content.styled(f"  takes {vcpu.taken_next} next", "$warning bold"))
    has_hvip = any(line.hvip is not None for line in vcpu.lines)
    lines.append(Content.styled(
        f"  {'':5} {'sip':>4} {'sie':>4}" + (f" {'hvip':>5}" if has_hvip else "") + f" {'injected':>9}", MUTED))
    for line in vcpu.lines:
        hvip = f" {_bit(line.hvip):>5}" if line.hvip is not None else ""
        lines.append(Content.assemble(
            (f"  {line.name:5} ", "bold" if line.pending else ""),
            (f"{_bit(line.pending):>4}", "$warning bold" if line.pending else MUTED),
            (f" {_bit(line.enabled):>4}", "" if line.enabled else MUTED), hvip, f" {line.injected:>9,}",
            (f"  {line.about}", MUTED)))
    timer = "not set" if vcpu.timer is None else "due" if vcpu.timer == 0 else f"in {vcpu.timer:,} steps"
    lines.append(Content.styled(f"  timer {timer}", MUTED))
    return lines


def _bit(value: bool | None) -> str:
    return "" if value is None else "1" if value else "·"


# --- virtio


def virtio_lines(view: VirtioView, width: int) -> tuple[list[Content], list[int | None]]:
    """The slots, and the rings of the chosen one; and for each line, the place of the slot that it lists."""
    if not view.slots:
        return [Content.styled("no virtio slot has a device (--drive, --netdev, --device)", MUTED)], [None]
    lines = [Content.styled("slot device    status        queues  interrupt", MUTED)]
    places: list[int | None] = [None]
    for place, slot in enumerate(view.slots):
        lines.append(_slot(slot, place == view.chosen))
        places.append(place)
    detail = [Content(""), *_slot_details(view.slots[view.chosen], width)]
    for queue in view.queues:
        detail += [Content(""), *queue_lines(queue, width)]
    return fit([*lines, *detail], width), [*places, *(None for _ in detail)]


def _slot(slot: SlotRow, is_chosen: bool) -> Content:
    state, style = "no driver", MUTED
    if slot.status:
        state, style = slot.status[-1], "$error bold" if slot.complaint else ""
    return Content.assemble(
        ("▸" if is_chosen else " ", "$accent bold"), f" {slot.number}  ",
        (f"{slot.kind:9}", "bold" if is_chosen else ""), (f" {state:13}", style),
        f" {slot.n_ready} of {slot.n_queues}  ", (", ".join(slot.interrupts), "$warning"))


def _slot_details(slot: SlotRow, width: int) -> list[Content]:
    facts = "  ".join(f"{name} {value}" for name, value in slot.facts)
    features = " ".join(name if name in slot.accepted else f"({name})" for name in slot.offered)
    paragraphs = [("", facts), ("status ", " ".join(slot.status) or "0"), ("features ", features)]
    lines = []
    for name, text in paragraphs:
        for row, part in enumerate(wrap(text, max(20, width - len(name))) if text else []):
            lines.append(Content.assemble((name if not row else " " * len(name), MUTED), part))
    if set(slot.offered) - set(slot.accepted):
        lines.append(Content.styled("         in brackets: offered, not accepted", MUTED))
    if slot.complaint:
        lines += [Content.styled(part, "$error") for part in wrap(f"needs a reset: {slot.complaint}", max(20, width))]
    return lines


def queue_lines(queue: QueueView, width: int) -> list[Content]:
    """One queue: where it lies, its ring drawn, the chains that wait, those that were used last."""
    title = Content.assemble((f"queue {queue.index} {queue.name}", "bold $primary"), "  ")
    if not queue.is_ready:
        return [title + Content.styled(f"not set up; up to {queue.max_size} entries", MUTED)]
    wish = "an interrupt" if queue.wants_interrupt else "no interrupt"
    areas = f"descriptors {queue.descriptors:#x}, driver {queue.driver:#x}, device {queue.device:#x}"
    lines = [title + Content.styled(f"{queue.size} entries, {wish} wanted", MUTED), *prose(areas, width),
             *_ring(queue, width)]
    for chain in queue.waiting:
        lines += _chain(chain, width)
    if queue.n_waiting > len(queue.waiting):
        lines.append(Content.styled(f"  and {queue.n_waiting - len(queue.waiting):,} more", MUTED))
    if queue.done:
        used = ", ".join(f"{each.head}: {each.written:,} bytes" for each in queue.done)
        lines += [Content.styled(f"  {part}", MUTED) for part in wrap(f"used last {used}", max(20, width - 2))[:2]]
    return lines


def _ring(queue: QueueView, width: int) -> list[Content]:
    """The available ring, an entry a cell where there is room: what waits, what is in flight, what is done."""
    cells = min(queue.size, max(16, width - 4))
    states = ["·"] * cells

    def mark(first: int, count: int, sign: str) -> None:
        for at in range(first, first + min(count, queue.size)):
            states[at % queue.size * cells // queue.size] = sign

    mark(queue.used, queue.n_in_flight, "▒")
    mark(queue.taken, queue.n_waiting, "█")
    return [
        Content.assemble("  ", ("".join(states), "$accent")),
        Content(f"  avail idx {queue.available}  taken {queue.taken}  used idx {queue.used}"),
        Content.assemble("  ", (f"█ {queue.n_waiting} wait", "$accent" if queue.n_waiting else MUTED), "  ",
                         (f"▒ {queue.n_in_flight} in flight", "$accent" if queue.n_in_flight else MUTED))]


def _chain(chain: ChainView, width: int) -> list[Content]:
    kind = " indirect" if chain.is_indirect else ""
    head = Content.assemble(("  waits ", MUTED), (f"{chain.head:>3}{kind}", "bold"), "  ", chain.about,
                            (f"  {chain.fault}" if chain.fault else "", "$error bold"))
    parts = " → ".join(f"{part.gpa:#x}+{part.length:,}{'W' if part.is_writable else 'R'}" for part in chain.parts)
    return [head, *(Content.styled("            " + row, MUTED) for row in wrap(parts, max(20, width - 12))[:3])]


# --- UART


def uart_lines(view: UartView, width: int) -> list[Content]:
    """The registers, then the bytes that went through, the newest first."""
    waiting = f"{view.waiting} typed bytes wait" if view.waiting else "nothing typed waits"
    lines = prose(f"16550A; {waiting}. Looking reads no register.", width)
    rows = [Content.assemble((f"{row.name:4}", "bold"), f" {row.value:02x}  ", (row.text, MUTED))
            for row in view.registers]
    if width >= TWO_COLUMNS:
        half = (len(rows) + 1) // 2
        left = width // 2 - 1
        rows = [one.truncate(left, ellipsis=True).pad_right(max(0, left - one.cell_length)) + Content("  ") + other
                for one, other in zip(rows[:half], [*rows[half:], Content("")], strict=False)]
    lines += rows
    lines += [Content(""), Content.styled(f"{'step':>15}      what went through, the newest first", MUTED)]
    for line in reversed(view.log):
        sign, style = ("→", "") if line.is_written else ("←", "$warning")
        lines.append(Content.assemble(
            (f"{line.step:>15,}", MUTED), (f"  {sign}  ", style), (printable(line.data), style)))
    if not view.log:
        lines.append(Content.styled("nothing yet", MUTED))
    elif not view.is_whole:
        lines.append(Content.styled(f"{'':15}      and older ones", MUTED))
    return fit(lines, width)


def printable(data: bytes) -> str:
    """Bytes as one line of text: control characters and what is no UTF-8 by their escapes."""
    text = data.decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


# --- disks and networks


def disk_lines(view: DisksView, width: int) -> list[Content]:
    """Each disk, and its requests, the newest first."""
    if not view.disks:
        return [Content.styled("no disks: --drive FILE gives one", MUTED)]
    lines: list[Content] = []
    for disk in view.disks:
        lines += [*([Content("")] if lines else []), *_disk(disk)]
        share = max(4, len(disk.log) if len(view.disks) == 1 else 12)
        column = max(24, min(34, width - 30))
        for request in reversed(disk.log[-share:]):
            style = MUTED if request.status == "ok" else "$error bold"
            lines.append(Content.assemble(
                (f"{request.step:>15,}  ", MUTED), f"{request.text:{column}} ", (request.status, style)))
        if not disk.log:
            lines.append(Content.styled("no request yet", MUTED))
    return fit(lines, width)


def _disk(disk: DiskRow) -> list[Content]:
    access = "read-only" if disk.is_read_only else "a file of the host's"
    if disk.memory_pages is not None:
        access = f"{disk.memory_pages:,} pages in memory"
    return [
        Content.assemble(
            (disk.name, "bold $primary"), f"  slot {disk.slot}  {disk.sectors:,} sectors  ", (access, MUTED)),
        Content.assemble(
            f"{disk.reads:,} reads, {size_text(disk.read_bytes)}   {disk.writes:,} writes, "
            f"{size_text(disk.written_bytes)}   ",
            (f"{disk.failures:,} failed", "$error bold" if disk.failures else MUTED))]


def network_lines(view: NetworkView, width: int) -> list[Content]:
    """Each card, and its frames, the newest first."""
    if not view.cards:
        return [Content.styled("no network cards: --netdev echo gives one, and a small host to talk to", MUTED)]
    lines: list[Content] = []
    for card in view.cards:
        lines += [*([Content("")] if lines else []), *_card(card)]
        share = max(4, len(card.log) if len(view.cards) == 1 else 12)
        for frame in reversed(card.log[-share:]):
            sign, style = ("→", "") if frame.is_sent else ("←", "$accent")
            lost = ("  lost", "$error bold") if frame.is_lost else ""
            lines.append(Content.assemble((f"{frame.step:>15,}", MUTED), (f"  {sign} ", style),
                                          (f"{frame.length:>5}  ", MUTED), (frame.text, style), lost))
        if not card.log:
            lines.append(Content.styled("no frame yet", MUTED))
    return fit(lines, width)


def _card(card: CardRow) -> list[Content]:
    link = ("link up", MUTED) if card.is_up else ("link down", "$error bold")
    return [
        Content.assemble((f"net{card.slot}", "bold $primary"), f"  slot {card.slot}  {card.mac}  ", link),
        Content.assemble(
            f"{card.sent:,} sent, {size_text(card.sent_bytes)}   {card.received:,} received, "
            f"{size_text(card.received_bytes)}   ",
            (f"{card.lost:,} lost", "$error bold" if card.lost else MUTED),
            (f"   {card.waiting:,} wait for buffers" if card.waiting else "", "$warning"))]


def find(lines: Sequence[Content], text: str, after: int) -> int | None:
    """The next line, from behind `after` on and around, that has the text in it, whatever its case."""
    wanted = text.lower()
    for step in range(1, len(lines) + 1):
        at = (after + step) % len(lines)
        if wanted in lines[at].plain.lower():
            return at
    return None
