"""A wheel built from the sdist holds all that a user needs, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from hartvisor.guest import benchmarks, images, programs
from tests.structure.tree import FOLDERS, ROOT, own_files

OURS = [path for path in own_files() if path.parts[0] in FOLDERS]


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an sdist made from the project's own files alone, and the wheel made from that sdist alone."""
    folder = tmp_path_factory.mktemp("packaging")
    source = folder / "source"
    for path in own_files():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, source / path)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(source)]
    # What is asked of it is what it holds, not how fast it is.
    run = subprocess.run(command, env=os.environ | {"HARTVISOR_CFLAGS": "-O0 -g0"}, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, check=False)
    assert run.returncode == 0, run.stdout
    return folder


@pytest.fixture(scope="module")
def sdist_names(distributions: Path) -> set[str]:
    """The files in the sdist, below its top folder."""
    with tarfile.open(next(distributions.glob("*.tar.gz"))) as archive:
        return {member.name.partition("/")[2] for member in archive if member.isfile()}


@pytest.fixture(scope="module")
def wheel(distributions: Path) -> Path:
    """The wheel's path."""
    return next(distributions.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel_names(wheel: Path) -> set[str]:
    """The files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def in_wheel(path: PurePosixPath) -> str:
    return f"hartvisor/{path}"


def test_sdist_holds_every_source_and_nothing_built(sdist_names: set[str]) -> None:
    assert {str(path) for path in OURS} <= sdist_names
    assert [name for name in sdist_names if name.endswith((".so", ".elf", ".pyc"))] == []


def test_wheel_holds_every_module_stub_and_type_marker(wheel_names: set[str]) -> None:
    expected = {in_wheel(path) for path in OURS if (path.suffix in (".py", ".pyi") or path.name == "py.typed")
                and path.parts[:2] != ("labs", "answers")}
    assert expected <= wheel_names
    assert not any(name.startswith("hartvisor/labs/answers") for name in wheel_names), "students install this"
    assert {f"hartvisor/{folder}/py.typed" for folder in FOLDERS} <= wheel_names


def test_wheel_holds_every_extension(wheel_names: set[str]) -> None:
    sources = [path for path in OURS if path.suffix == ".pyx"]
    assert sources
    for path in sources:
        stem = in_wheel(path.with_suffix(""))
        assert [name for name in wheel_names if name.startswith(f"{stem}.") and name.endswith(".so")], stem


def test_wheel_holds_every_built_guest(wheel_names: set[str]) -> None:
    shipped = {f"hartvisor/guest/images/{info.path.name}" for info in (*images(), *benchmarks())}
    shipped |= {f"hartvisor/guest/images/tern/{path.name}" for path in programs()}
    assert shipped == {name for name in wheel_names if name.endswith(".elf")}


def test_wheel_holds_the_guests_sources_for_who_looks_at_their_code(wheel_names: set[str]) -> None:
    sources = {in_wheel(path) for path in OURS if path.parts[0] == "guest" and path.suffix in (".c", ".h", ".S")}
    assert sources == {name for name in wheel_names if name.endswith((".c", ".h", ".S"))}


def test_wheel_holds_no_source_of_the_compiled_hart(wheel_names: set[str]) -> None:
    assert [name for name in wheel_names if name.endswith((".pyx", ".pxd", ".pxi", ".ld"))] == []
    tops = {name.split("/")[0] for name in wheel_names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"hartvisor"}


def test_installed_wheel_works_away_from_the_source(wheel: Path, tmp_path: Path) -> None:
    """The compiled hart loads and a shipped guest is found, with only the unpacked wheel to find them in."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = (
        "import hartvisor.core.hart, hartvisor.core.hart.hart, hartvisor.guest\n"
        "print(hartvisor.core.hart.hart.__file__)\n"
        "print(hartvisor.guest.image('hello'))\n"
        "print(*hartvisor.guest.programs(), sep='\\n')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert all(Path(line).is_relative_to(tmp_path) for line in run.stdout.splitlines()), run.stdout
