"""apt in a folder of its own: where its packages come from, and what it says when it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from hartvisor.guest.apt import AptError, PrivateApt, own_sources


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (
            "sources.list.d/debian.sources",
            "Types: deb\n# a comment: this\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\n"
            "Components: main contrib\nSigned-By: /keys/debian.gpg\n\n"
            "Types: deb\nURIs: http://mirror.example/debian-security\nSuites: bookworm-security\nComponents: main\n",
        ),
        (
            "sources.list",
            "# deb http://other.example/debian sid main\n"
            "deb http://mirror.example/debian-security bookworm-security main\n"
            "deb [arch=amd64 signed-by=/keys/debian.gpg] http://mirror.example/debian bookworm main\n",
        ),
    ],
)
def test_private_sources_are_the_systems_with_another_suite(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / file).write_text(text)
    assert own_sources(tmp_path, "trixie").splitlines() == [
        "Types: deb",
        "URIs: http://mirror.example/debian",
        "Suites: trixie",
        "Components: main",
        "Signed-By: /keys/debian.gpg",
    ]


def test_a_system_that_is_not_debian_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://archive.example/ubuntu noble main\n")
    with pytest.raises(AptError, match="names no source of Debian's main archive"):
        own_sources(tmp_path, "trixie")


def fake_programs(folder: Path, **scripts: str) -> None:
    for name, script in scripts.items():
        path = folder / name.replace("_", "-")
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PrivateApt:
    """A private apt whose programs are scripts that the tests write to tmp_path."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "sources.list").write_text("deb http://mirror.example/debian bookworm main\n")
    monkeypatch.setattr("hartvisor.guest.apt.SYSTEM_SOURCES", tmp_path / "etc")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    fake_programs(tmp_path, apt_get="exit 0\n", apt_cache="exit 0\n", dpkg_deb="exit 0\n")
    return PrivateApt(tmp_path / "private", "trixie", "riscv64")


def test_a_failure_is_one_line_with_apts_own_reason(apt: PrivateApt, tmp_path: Path) -> None:
    fake_programs(tmp_path, apt_get="echo 'W: odd' >&2; echo 'E: The repository is not signed.' >&2; exit 100\n")
    with pytest.raises(AptError) as error:
        apt.update()
    assert str(error.value) == "apt-get update for Debian trixie failed: The repository is not signed"


def test_progress_is_apts(apt: PrivateApt, tmp_path: Path) -> None:
    script = 'for a in "$@"; do case $a in APT::Status-Fd=*) fd=${a#*=};; esac; done\n'
    script += "printf 'dlstatus:1:25.5:Get it\\npmstatus:x:9:y\\n' > /dev/fd/$fd\n"
    fake_programs(tmp_path, apt_get=script)
    told: list[float] = []
    apt.update(lambda what, fraction: told.append(fraction))
    assert told == [0.255, 1.0]


def test_an_archive_that_did_not_come_is_named(apt: PrivateApt) -> None:
    with pytest.raises(AptError, match="brought no opensbi"):
        apt.download(["opensbi"])
