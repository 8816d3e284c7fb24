"""A plan's mistakes are said with line and key, before anything is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from hartvisor.core.vmm.hypervisor.entitlement import Entitlement
from hartvisor.tui.plan.source import PlanError
from hartvisor.tui.plan.spec import read_plan

GOOD = """\
[machine]
memory = "64M"

[[network]]
name = "lan"

[[vm]]
name = "web"
image = "kernel"
"""


def plan(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "lab.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("addition", "line", "complaint"), [
    ('memory = "128X"', 10, 'vm "web": memory: memory 128X: a size is a number with K, M or G'),
    ("memory = 128", 10, "vm \"web\": memory: 128: give a size as a string"),
    ('memory = "3M"', 7, "3145728 bytes of guest memory"),
    ("shares = 0", 10, 'vm "web": shares: 0: give 1 to 1000000'),
    ("shares = true", 10, "shares: True: give a whole number"),
    ("reservation = 101", 10, "reservation: 101: give a percentage"),
    ("reservation = 50\nlimit = 40", 7, "no less than the reservation"),
    ('technique = "bare"', 10, "no 'bare'; there are deprivileged, shadow, two-stage"),
    ('tecnique = "shadow"', 10, "tecnique: no such setting; did you mean technique?"),
    ("xyzzy = 1", 10, "xyzzy: no such setting; there are"),
    ("vcpus = 5", 10, "vcpus: 5: give 1 to 4"),
    ('isa = "+qqq"', 10, "isa: "),
    ('networks = ["wan"]', 10, "networks[0]: name: no network 'wan'; there are lan, echo, user"),
    ('networks = [{ name = "user", forward = ["80"] }]', 10, "forward: forward 80 is not of the form"),
    ('networks = [{ name = "lan", forward = ["80-80"] }]', 10, "forward: no such setting"),
    ('networks = [{ name = "lan", mac = "1:2" }]', 10, "mac: 1:2 is no card's address"),
    ("networks = [3]", 10, "networks[0]: must be a table"),
    ('disks = [{ fil = "x" }]', 10, "disks[0]: has no file"),
    ('disks = [{ file = "x", reedonly = true }]', 10, "reedonly: no such setting; did you mean readonly?"),
    ('disks = ["1", "2", "3", "4", "5", "6", "7", "8", "9"]', 7, "9 devices: there are 8 slots"),
    ('[[vm]]\nname = "web"\nimage = "hello"', 11, "two of the name 'web'"),
    ('[[vm]]\nname = "a b"\nimage = "hello"', 11, "letters, digits, - and _"),
    ('[[vm]]\nname = "other"\nimage = "nothing"', 12, 'vm "other": image: nothing: no such file'),
    ('[[vm]]\nname = "other"', 10, 'vm "other": has no image'),
    ('[[vm]]\nimage = "hello"', 10, "vm: has no name"),
    ('[[network]]\nname = "echo"', 11, "small host"),
    ('[[network]]\nname = "user"', 11, "'user' is the host's networks"),
    ('[machien]\nx = 1', 10, "machien: no such setting; did you mean machine?"),
    ("count = 0", 10, "count: 0: give 1 to 1000"),
    ("x = ", 10, "not TOML"),
    ('input = """\nmemory = "4X"\n"""\nshares = "x"', 13, "shares: 'x': give a whole number"),
])
def test_a_mistake_has_its_line_and_key(tmp_path: Path, addition: str, line: int, complaint: str) -> None:
    path = plan(tmp_path, GOOD + addition + "\n")
    with pytest.raises(PlanError) as caught:
        read_plan(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("text", "complaint"), [
    ('[machine]\nmemory = "64M"\nquantum = 5\n', ":3: machine: quantum: 5: give 100 to"),
    ('[machine]\nscheduler = "lottery"\n', ":2: machine: scheduler: no 'lottery'; there are stride, credit"),
    ('[machine]\nvictims = "lru"\n', ":2: machine: victims: no 'lru'; there are clock, random"),
    ("machine = 5\n", ":1:"),
    ('vm = "x"\n', ":1:"),
    ("", "declares no VM"),
])
def test_a_machine_that_cannot_be(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(PlanError) as caught:
        read_plan(plan(tmp_path, text))
    assert complaint in str(caught.value)


def test_a_file_that_is_not_there_or_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="No such file"):
        read_plan(tmp_path / "none.toml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(PlanError, match="not UTF-8"):
        read_plan(tmp_path / "binary")


def test_what_a_plan_says(tmp_path: Path) -> None:
    [one, two] = read_plan(plan(tmp_path, GOOD + """
count = 2
technique = "shadow"
memory = "16M"
vcpus = 2
append = "workload {name}"
shares = 300
reservation = 12.5
limit = 50
memory_reservation = "4M"
memory_shares = 7
balloon = "auto"
order = 3
ready = "$ "
input = "hello {name}"
console = "{name}.log"
disks = [{ file = "{name}.overlay", base = "base.img" }, { file = "r.img", readonly = true }]
networks = ["lan", { name = "echo", mac = "52:54:00:00:00:09", pcap = "{name}.pcap" }]
folders = ["x", { path = "y", tag = "why", readonly = true }]
rng = true
""")).vms
    assert (one.name, two.name) == ("web1", "web2")
    assert (two.config.technique, two.config.memory, two.config.vcpus) == ("shadow", 16 << 20, 2)
    assert two.config.append == "workload web2"
    assert two.cpu == Entitlement(300, 125, 500)
    assert (two.memory_reservation, two.memory_shares) == (4 << 20, 7)
    assert (two.balloon, two.is_balloon_ours, two.order, two.ready) == (0, True, 3, "$ ")
    assert two.input == "hello web2"
    assert two.console == tmp_path / "web2.log"
    assert (two.disks[0].file, two.disks[0].base) == (tmp_path / "web2.overlay", tmp_path / "base.img")
    assert two.disks[1].is_read_only
    assert [card.network for card in two.cards] == ["lan", "echo"]
    assert two.cards[1].capture == tmp_path / "web2.pcap"
    assert [(folder.path, folder.tag) for folder in two.folders] == [(tmp_path / "x", "share"), (tmp_path / "y", "why")]
    assert two.has_rng


def test_vms_can_start_in_turn(tmp_path: Path) -> None:
    specs = read_plan(plan(tmp_path, GOOD + "count = 3\norder = 2\nin_turn = true\n")).vms
    assert [(spec.name, spec.order) for spec in specs] == [("web1", 2), ("web2", 3), ("web3", 4)]
