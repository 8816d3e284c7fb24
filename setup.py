"""Builds what plain Python packaging cannot know: the folder mapping, the Cython extensions, and the guests.

The folders core/, guest/, tui/ and labs/ are imported as `hartvisor.core` and so on. `hartvisor` itself is a namespace
package: no folder of that name exists, `package_dir` maps each of its parts. Two tools do not read that, Cython (for
cimports) and mypy; for them the build makes `build/tree/hartvisor/`, links that look like the installed package.

Everything generated lies in `build/`, except what an in-place (editable) install must find next to its source: the
extensions' shared objects and `guest/images/`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
FOLDERS = ("core", "guest", "tui", "labs")
LINK_TREE = Path("build/tree")
GENERATED = Path("build/generated")
C_FILES = Path("build/c")

DIRECTIVES = {
    "language_level": 3,
    "cdivision": True,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
}
# The threaded interpreter's tail calls become jumps only at -O2; guest arithmetic wraps; RAM is read at every width.
# Guest floating point must be neither contracted nor, by way of errno, a call.
COMPILE_FLAGS = ["-O2", "-g1", "-fno-strict-aliasing", "-fwrapv", "-ffp-contract=off", "-fno-math-errno"]
# `make sanitize` sets HARTVISOR_SANITIZE=address,undefined. RAM is read at every width and alignment, on purpose.
# A frame with red zones or scopes to poison must outlive its last call, which would make a tail call a call: local
# variables are not watched.
SANITIZERS = os.environ.get("HARTVISOR_SANITIZE", "")
SANITIZE_FLAGS = (
    [
        f"-fsanitize={SANITIZERS}",
        "-fno-sanitize=alignment",
        "-fno-sanitize-recover=all",
        "-fno-sanitize-address-use-after-scope",
        "--param=asan-stack=0",
    ]
    if SANITIZERS
    else []
)

# Flags of whoever packages this; they follow ours, and so override them.
MORE_FLAGS = os.environ.get("HARTVISOR_CFLAGS", "").split()

# A build backend does not put the project on sys.path, and the build reads its ISA tables.
sys.path.insert(0, str(ROOT))


def make_link_tree() -> None:
    """Make `build/tree/hartvisor/<folder>` point at each folder, so that `hartvisor.<folder>` resolves by path."""
    package = LINK_TREE / "hartvisor"
    package.mkdir(parents=True, exist_ok=True)
    for folder in FOLDERS:
        link = package / folder
        if not link.is_symlink():
            link.symlink_to(Path("../../..") / folder, target_is_directory=True)


def generate() -> list[Path]:
    """Write for Cython the ISA tables' constants and the fused handlers; an unchanged text keeps its file, and so
    causes no rebuild."""
    from core.isa.codegen import cython_constants
    from tools.fuse_handlers import fused_handlers

    GENERATED.mkdir(parents=True, exist_ok=True)
    texts = {GENERATED / "isa_constants.pxi": cython_constants(), GENERATED / "fused.pxi": fused_handlers()}
    for path, text in texts.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    return list(texts)


def find_extensions() -> list[Extension]:
    """One extension for each .pyx in core/, named for its place; a change of any Cython file beside it rebuilds it."""
    return [
        Extension(
            ".".join(["hartvisor", *source.with_suffix("").parts]),
            [str(source)],
            depends=sorted(str(near) for near in source.parent.glob("*.px[di]")),
            extra_compile_args=[*COMPILE_FLAGS, *SANITIZE_FLAGS, *MORE_FLAGS],
            extra_link_args=SANITIZE_FLAGS,
        )
        for source in sorted(Path("core").rglob("*.pyx"))
    ]


class BuildExtensions(build_ext):
    """Compiles .pyx files, with the generated constants and the link tree on Cython's include path."""

    def build_extension(self, ext: Extension) -> None:
        from Cython.Build import cythonize

        make_link_tree()
        ext.depends = [*ext.depends, *map(str, generate())]
        compiled = cythonize(
            ext,
            include_path=[str(GENERATED), str(LINK_TREE)],
            compiler_directives=DIRECTIVES,
            build_dir=str(C_FILES),
            force=self.force,
        )
        ext.sources = compiled[0].sources
        super().build_extension(ext)


class BuildPackages(build_py):
    """Builds the guests first, so that package_data finds them."""

    def run(self) -> None:
        make_link_tree()
        subprocess.run([sys.executable, "-m", "guest.build"], cwd=ROOT, check=True)
        super().run()


# Answers stay in the repository: what is installed on students' computers has none.
ANSWERS = ["labs.answers", "labs.answers.*"]
PACKAGES = find_packages(include=[p for f in FOLDERS for p in (f, f"{f}.*")], exclude=ANSWERS)

setup(
    packages=[f"hartvisor.{name}" for name in PACKAGES],
    package_dir={f"hartvisor.{folder}": folder for folder in FOLDERS},
    package_data={"": ["py.typed", "*.pyi", "handout.md", "starter/*.py", "schema/*.json", "schema/*.xsd"],
                  "hartvisor.guest": [
        "images/*.elf", "images/*.cpio", "images/tern/*.elf",
        # What the debug data speaks of: whoever looks at a guest's code sees its source.
        *(f"{folder}/**/*.[chS]" for folder in ("bench", "kernel", "kvm", "lib", "tiny", "user"))]},
    ext_modules=find_extensions(),
    cmdclass={"build_ext": BuildExtensions, "build_py": BuildPackages},
)
