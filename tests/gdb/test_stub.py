"""What a debugger asks and is told, packet by packet: the same under every technique."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.csrs import BY_NAME
from hartvisor.core.vmm.compare import COMPARED
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.gdb.packets import encode, escape, unescape
from hartvisor.core.vmm.gdb.stub import Detached, Killed, Stub
from tests.vmm.support import ENTRY, start
from tests.vmm.test_smp import CONTEND

from .client import Client, debugger_of, target_of

WORD = 0x8030_0000
COUNT = f"""
start:
    li t0, {WORD}
    li t1, 5
loop:
    addi t2, t2, 1
    sd t2, 8(t0)
    ld t3, 16(t0)
    bne t2, t1, loop
    csrw sscratch, t2
    li t6, 0x100000
    li t5, 0x5555
    sw t5, 0(t6)
"""
AT = {name: f"{place:x}" for name, place in assemble(COUNT, ENTRY).symbols.items()}
LOOP = int(AT["loop"], 16)
SSCRATCH = f"{65 + BY_NAME['sscratch'].number:x}"
T2, T3 = 7, 28


def client_of(technique: str = "shadow", source: str = COUNT, vcpus: int = 1, *, has_past: bool = True) -> Client:
    """A debugger connected to a VM that has not begun."""
    return Client(debugger_of(target_of(start(source, technique, vcpus=vcpus), has_past=has_past)))


def little(value: int) -> bytes:
    """A register in a packet."""
    return value.to_bytes(8, "little").hex().encode()


def register(client: Client, number: int | str) -> int:
    """A register by its number."""
    return int.from_bytes(bytes.fromhex(client.ask(f"p{number:x}" if isinstance(number, int) else f"p{number}")
                                        .decode()), "little")


def end_of(client: Client) -> bytes:
    """The reply to `continue` when the guest switches itself off; what is said before that is why."""
    assert bytes.fromhex(client.ask("c")[1:].decode()) == b"test finisher: pass\n"
    return client.reply()


each_technique = pytest.mark.parametrize("technique", COMPARED)


@each_technique
def test_registers_are_read_and_written(technique: str) -> None:
    client = client_of(technique)
    everything = client.ask("g")
    assert len(everything) == 16 * 65
    assert everything[32 * 16:33 * 16] == little(ENTRY)
    changed = everything[:10 * 16] + little(0x1234_5678) + everything[11 * 16:33 * 16]
    assert client.ask(b"G" + changed) == b"OK"
    assert register(client, 10) == 0x1234_5678
    assert client.ask(f"P{SSCRATCH}={little(99).decode()}") == b"OK"
    assert register(client, SSCRATCH) == 99
    assert register(client, 65 + 4096) == 1, "priv: S-mode"
    assert client.ask("p2000") == client.ask(f"P{65 + 0xC00:x}=0100000000000000") == b"E01", "no such; read-only"
    assert client.ask("p20") == little(ENTRY)


@each_technique
def test_memory_is_read_and_written_in_hex_and_binary(technique: str) -> None:
    client = client_of(technique)
    assert client.ask(f"M{WORD:x},4:00ff2324") == b"OK"
    assert client.ask(f"m{WORD:x},4") == b"00ff2324"
    data = bytes(range(256)) * 20
    assert client.ask(f"X{WORD - 0x800:x},{len(data):x}:".encode() + escape(data)) == b"OK"
    reply = client.ask(f"x{WORD - 0x800:x},{len(data):x}")
    assert (reply[:1], unescape(reply[1:])) == (b"b", data)
    assert client.ask(f"X{WORD:x},0:") == b"OK"
    assert client.ask("m10000000,4") == client.ask("M10000000,1:00") == b"E14", "the serial port is not touched"
    assert client.ask(f"m{0x8080_0000 - 2:x},8") == b"0000", "up to the end of RAM"


@pytest.mark.parametrize("kind", [0, 1])
@each_technique
def test_breakpoints_stop_before_their_instruction(technique: str, kind: int) -> None:
    client = client_of(technique)
    assert client.ask(f"Z{kind},{AT['loop']},4") == b"OK"
    why = b"swbreak" if kind == 0 else b"hwbreak"
    for count in range(3):
        assert client.ask("vCont;c") == b"T05" + why + b":;thread:1;"
        assert (register(client, 32), register(client, T2)) == (LOOP, count)
    assert client.ask(f"z{kind},{AT['loop']},4") == b"OK"
    assert end_of(client) == b"T05replaylog:end;thread:1;"
    assert client.ask("bs") == b"T05thread:1;", "what led there can be looked at"


@each_technique
def test_watchpoints_say_which_and_where(technique: str) -> None:
    client = client_of(technique)
    assert client.ask(f"Z2,{WORD + 12:x},4") == b"OK"
    assert client.ask(f"Z2,{WORD + 8:x},2") == b"OK"
    assert client.ask(f"Z3,{WORD + 16:x},8") == b"OK"
    assert client.ask("c") == f"T05watch:{WORD + 8:x};thread:1;".encode()
    assert (register(client, T2), register(client, 32)) == (1, LOOP + 8)
    assert client.ask("c") == f"T05rwatch:{WORD + 16:x};thread:1;".encode()
    for what in (f"z2,{WORD + 12:x},4", f"z2,{WORD + 8:x},2", f"z3,{WORD + 16:x},8", f"Z4,{WORD + 16:x},1"):
        assert client.ask(what) == b"OK"
    assert client.ask("c") == f"T05awatch:{WORD + 16:x};thread:1;".encode()
    assert client.ask("Z2,10000000,4") == b"E14"


@each_technique
def test_steps_are_single_instructions_and_ranges_many(technique: str) -> None:
    client = client_of(technique)
    places = []
    for packet in ("s", "vCont;s:1", "vCont;s:1;c"):
        assert client.ask(packet) == b"T05thread:1;"
        places.append(register(client, 32) - ENTRY)
    assert places == [4, 8, 12] or len(places) == 3
    client.ask(f"Z0,{AT['loop']},4")
    client.ask("c")
    client.ask(f"z0,{AT['loop']},4")
    assert client.ask(f"vCont;r{LOOP:x},{LOOP + 16:x}:1") == b"T05thread:1;"
    assert (register(client, 32), register(client, T2)) == (LOOP + 16, 5)


@each_technique
def test_going_back(technique: str) -> None:
    client = client_of(technique)
    client.ask(f"Z2,{WORD + 8:x},8")
    for _ in range(3):
        client.ask("c")
    assert register(client, T2) == 3
    assert client.ask("bs") == b"T05thread:1;"
    assert register(client, 32) == LOOP + 4
    assert client.ask("bc") == f"T05watch:{WORD + 8:x};thread:1;".encode()
    assert (register(client, 32), register(client, T2)) == (LOOP + 4, 2)
    assert client.ask(f"m{WORD + 8:x},1") == b"01", "before the store"
    client.ask(f"z2,{WORD + 8:x},8")
    client.ask(f"Z0,{AT['loop']},4")
    assert client.ask("bc") == b"T05swbreak:;thread:1;"
    assert (register(client, 32), register(client, T2)) == (LOOP, 1)
    client.ask("bc")
    assert client.ask("bc") == b"T05replaylog:begin;thread:1;"
    assert client.ask("bs") == b"T05replaylog:begin;thread:1;"
    assert register(client, 32) == ENTRY


@each_technique
def test_debugging_changes_nothing(technique: str) -> None:
    """Stepped, stopped and taken back, the guest ends where it ends alone."""
    alone = start(COUNT, technique)
    alone.run(10_000)
    vm = start(COUNT, technique)
    client = Client(debugger_of(target_of(vm)))
    client.ask(f"Z4,{WORD:x},20")
    client.ask(f"Z1,{AT['loop']},4")
    for packet in ("c", "s", "c", "bs", "c", "bc", "s", "g", "c"):
        client.ask(packet)
    for packet in (f"z4,{WORD:x},20", f"z1,{AT['loop']},4"):
        client.ask(packet)
    assert end_of(client) == b"T05replaylog:end;thread:1;"
    assert digest(vm) == digest(alone)


@each_technique
def test_vcpus_are_threads(technique: str) -> None:
    client = client_of(technique, CONTEND, vcpus=2)
    assert client.ask("qfThreadInfo") == b"m1,2"
    assert client.ask("qsThreadInfo") == b"l"
    assert [client.ask(f"T{number}") for number in (1, 2, 3)] == [b"OK", b"OK", b"E01"]
    extra = [bytes.fromhex(client.ask(f"qThreadExtraInfo,{number}").decode()) for number in (1, 2)]
    assert extra == [b"hart 0, S-mode", b"hart 1, S-mode, asleep"]
    client.ask(f"Z2,{WORD:x},8")
    stops = {client.ask("c") for _ in range(2500)}
    assert stops == {f"T05watch:{WORD:x};thread:{number};".encode() for number in (1, 2)}
    client.ask(f"z2,{WORD:x},8")
    places = {}
    for number in (1, 2):
        assert client.ask(f"Hg{number}") == b"OK"
        places[number] = register(client, 10)
    assert client.ask("vCont;s:2") == b"T05thread:2;"
    assert client.ask("vCont;s:1") == b"T05thread:1;"
    target = client.debugger._stub.target
    active = target.active(1)
    assert client.ask("Hg2") == b"OK"
    assert client.ask("bs") == b"T05thread:2;"
    assert target.active(1) == active - 1
    assert client.ask("Hg3") == b"E01"


def test_by_physical_address() -> None:
    """Under paging an address means two things; QEMU's packet chooses."""
    source = """
        li t0, 0x80310000       # a root whose first entry maps the first gigabyte to RAM's
        li t1, 0x200000cf
        sd t1, 0(t0)
        sd t1, 16(t0)
        li t1, 0x8000000000080310
        csrw satp, t1
        li t2, 0x80300000
        li t3, 0x77
        sb t3, 0(t2)
        j .
    """
    client = client_of("two-stage", source)
    client.debugger._stub.target.run(50)
    assert client.ask("m300000,1") == b"77"
    assert client.ask("qqemu.PhyMemMode") == b"0"
    assert client.ask("Qqemu.PhyMemMode:1") == b"OK"
    assert client.ask("qqemu.PhyMemMode") == b"1"
    assert client.ask("m300000,1") == b"E14"
    assert client.ask("M80300000,1:78") == b"OK"
    assert client.ask("Qqemu.PhyMemMode:0") == b"OK"
    assert client.ask("m300000,1") == b"78"


def monitor(client: Client, text: str) -> str:
    """What a monitor command prints."""
    client.send(encode(b"qRcmd," + text.encode().hex().encode()))
    printed = ""
    while (reply := client.reply()) != b"OK":
        assert reply[:1] == b"O"
        printed += bytes.fromhex(reply[1:].decode()).decode()
    return printed


def test_monitor_commands() -> None:
    client = client_of("shadow")
    client.ask(f"Z0,{AT['loop']},4")
    client.ask("c")
    step = monitor(client, "info step")
    assert step.startswith("step 4; the past begins at 0, what was seen ends at 4\n")
    assert monitor(client, "steps") == step
    assert "shadow-fill" in monitor(client, "exits")
    assert monitor(client, "technique") == "shadow\n"
    assert monitor(client, f"walk {ENTRY:#x}").splitlines()[1] == f"  {ENTRY:#x}, without a table that we walk"
    assert monitor(client, "csr satp").splitlines()[0].endswith(": 0x0")
    assert "instructions" in monitor(client, "stats")
    assert monitor(client, "goto 1").startswith("step 1, pc ")
    assert register(client, 32) == ENTRY + 4
    help_text = monitor(client, "help")
    assert monitor(client, "") == help_text
    for wrong in ("frobnicate", "walk", "csr mstatus", "goto x", "walk x y", "csr nothing"):
        lines = monitor(client, wrong).splitlines()
        assert len(lines) == 1
        assert wrong in lines[0]


def test_without_a_past_there_is_no_way_back() -> None:
    client = client_of(has_past=False)
    assert b"Reverse" not in client.ask("qSupported:swbreak+")
    assert client.ask("bs") == client.ask("bc") == b""
    assert client.ask("c") == b"W00"
    assert "past is not kept" in monitor(client, "goto 0")


def test_what_is_supported() -> None:
    client = client_of()
    supported = client.ask("qSupported:multiprocess+").split(b";")
    assert {b"PacketSize=4000", b"qXfer:features:read+", b"vContSupported+", b"swbreak+", b"hwbreak+",
            b"QStartNoAckMode+", b"ReverseStep+", b"ReverseContinue+"} <= set(supported)
    assert client.ask("vCont?") == b"vCont;c;C;s;S;t;r"
    assert client.ask("vMustReplyEmpty") == client.ask("qNothing") == client.ask("!") == b""
    assert client.ask("qAttached") == b"1"
    assert client.ask("qC") == b"QC1"
    assert client.ask("?") == b"T05thread:1;"
    text = b""
    while (part := client.ask(f"qXfer:features:read:target.xml:{len(text):x},1000"))[:1] == b"m":
        text += unescape(part[1:])
    assert (text + unescape(part[1:])).decode() == client.debugger._stub.target.description


def test_a_trap_loop_is_a_fault_that_one_can_go_back_from() -> None:
    client = client_of("deprivileged", "li t0, 1\n.word 0")
    assert client.ask("c") == b"O" + bytes.fromhex(client.halts[-1].detail.encode().hex()).hex().encode() + b"0a"
    assert client.reply() == b"T0bthread:1;"
    assert client.ask("bs") == b"T05thread:1;"


LIKELY = st.tuples(
    st.sampled_from([b"p", b"P", b"m", b"M", b"x", b"X", b"Z", b"z", b"H", b"T", b"G", b"vCont;", b"qRcmd,", b"Z2,",
                     b"qXfer:features:read:target.xml:", b"m8020", b"P20=", b"b", b"Q"]),
    st.text("0123456789abcdef,;:=-", max_size=30)).map(lambda pair: pair[0] + pair[1].encode())
"""Packets that look as if they meant something."""


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.binary(max_size=40), LIKELY), max_size=20))
def test_whatever_is_asked_there_is_an_answer(packets: list[bytes]) -> None:
    vm = start(COUNT, "shadow")
    stub = Stub(target_of(vm, has_past=False), lambda reply: None)
    for packet in packets:
        try:
            reply = stub.answer(packet)
        except (Killed, Detached):
            continue
        assert reply is None or isinstance(reply, bytes)
        if stub.is_running:
            stub.run(100)
            stub.is_running = False
