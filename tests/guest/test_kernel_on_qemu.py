"""The teaching kernel is an ordinary kernel: it boots on QEMU with OpenSBI, and prints the same text there."""

from __future__ import annotations

import pytest

from tests.guest.qemu import expected, run_on_qemu

BOOT = "tern: a small teaching kernel\ntern: Sv39 paging on, 15 files in the ramdisk\ntype help for what there is\n"
END = "$ poweroff\ntern: power off\n"


def shell(*dialogue: tuple[str, str], append: str = "") -> str:
    """Return the transcript of a shell session, from the first prompt on; each entry is what to await, what to type."""
    text = run_on_qemu("kernel", append=append, dialogue=dialogue)
    assert text.startswith(BOOT)
    return text.removeprefix(BOOT)


def test_workload_prints_the_expected_text() -> None:
    assert run_on_qemu("kernel", append="workload") == expected("workload")


@pytest.mark.parametrize("memory", ["16M", "3G"])
def test_text_does_not_depend_on_the_memory_size(memory: str) -> None:
    assert run_on_qemu("kernel", append="workload", memory=memory) == expected("workload")


@pytest.mark.parametrize("shift", [1, 6])
def test_text_does_not_depend_on_time(shift: int) -> None:
    """With QEMU's clock tied to instructions, 2 and 64 ns each: dozens or thousands of preemptions."""
    options = ("-icount", f"shift={shift},sleep=off")
    assert run_on_qemu("kernel", append="workload", options=options) == expected("workload")


def test_workload_takes_its_number_of_rounds() -> None:
    text = run_on_qemu("kernel", append="workload=1")
    first_round = expected("workload").split("round 2")[0].replace("of 4", "of 1")
    assert text.startswith(first_round)
    assert "0 stages failed" in text


def test_kernel_without_fences_goes_wrong_on_a_hart_that_caches_translations() -> None:
    """With its clock tied to instructions QEMU goes wrong the same way each time."""
    text = run_on_qemu("kernel-nofence", append="workload=1", options=("-icount", "shift=1,sleep=off"))
    assert "tern: Sv39 paging on" in text
    assert ", 0 stages failed" not in text


def test_shell_transcript() -> None:
    """Typed all at once, and yet each line is echoed after its own prompt."""
    lines = [line[2:] for line in expected("shell").splitlines() if line.startswith("$ ")]
    assert shell(("$ ", "".join(f"{line}\n" for line in lines))) == expected("shell")


def test_sleeping_program_wakes() -> None:
    assert shell(("$ ", "sleep 3\necho awake\npoweroff\n")) == f"$ sleep 3\n$ echo awake\nawake\n{END}"


def test_control_c_ends_a_program_and_leaves_the_shell() -> None:
    text = shell(("$ ", "cat\nonce\n"), ("once\nonce\n", "\x03"), ("killed\n$ ", "poweroff\n"))
    assert text == f"$ cat\nonce\nonce\ncat: killed\n{END}"


def test_control_d_ends_the_input_of_a_program() -> None:
    assert shell(("$ ", "wc\none two\n\x04poweroff\n")) == f"$ wc\none two\n1 2 8\n{END}"


def test_backspace_and_control_u_edit_the_line() -> None:
    text = shell(("$ ", "echo wrong\x15echo rightt\x7f\npoweroff\n"))
    erased = "\b \b"
    assert text == f"$ echo wrong{erased * 10}echo rightt{erased}\nright\n{END}"


def test_background_program_does_not_hold_the_shell() -> None:
    text = shell(("$ ", "sleep 100000 &\nps\npoweroff\n"))
    rows = [line.split() for line in text.splitlines() if len(line.split()) == 5]
    assert [row[4] for row in rows] == ["name", "init", "sh", "sleep", "ps"]


def test_statistics_are_printed_on_request() -> None:
    assert "page-table writes" in run_on_qemu("kernel", append="workload=0 stats")
