# make demo     set up a private environment, build, and compare one guest under all techniques
# make test     the same set-up plus the test tools, then the whole test suite (PYTEST_ARGS="-k name" narrows it)
# make oracles  install QEMU, RISC-V binutils and GDB (Debian packages), which many tests compare with, and newer ones of
#               the first two from Debian trixie into the user's cache folder (HARTVISOR_ORACLES chooses another)
# make sanitize run the hart's, the hypervisor's and the fuzzers' tests with the extension built with AddressSanitizer and UBSan
# make clean    remove what was built; the environment's packages stay
#
# PYTHON chooses the interpreter (3.11 to 3.14) the environment is made with, VENV its folder.

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check
# Stamps lie in the environment they speak of, so that removing it forgets them too.
TOOLS_READY := $(VENV)/hartvisor-tools
BUILT := $(VENV)/hartvisor-built
TESTS_READY := $(VENV)/hartvisor-test-tools

PACKAGING := setup.py MANIFEST.in pyproject.toml $(TOOLS_READY)
SOURCES := tools/fuse_handlers.py $(shell find core -name '*.px[dix]' -o -name fused.txt -o -path 'core/isa/*.py') \
           $(shell find guest -type f -not -path '*/__pycache__/*' -not -path 'guest/images/*')

.PHONY: demo test build oracles sanitize clean

demo: build
	$(BIN)/hartvisor compare

test: build $(TESTS_READY)
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile $(PYTEST_ARGS)

# Compiled to bytecode too: every command starts in half the time, also where Python is told not to write any itself.
build: $(BUILT)
	@$(BIN)/python -m compileall -q core guest labs tools tui

oracles:
	@$(PYTHON) tools/install_oracles.py

# A build of its own, in build/sanitized; Python itself leaks at exit, which is not ours to find.
sanitize: build $(TESTS_READY)
	@echo '== Building the hart with sanitizers into build/sanitized'
	@HARTVISOR_SANITIZE=address,undefined $(BIN)/python setup.py --quiet build --build-base build/sanitized --build-lib build/sanitized/lib
	LD_PRELOAD=$$($(CC) -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 PYTHONPATH=build/sanitized/lib \
	    $(BIN)/python -m pytest tests/hart tests/conformance tests/vmm tests/fuzz $(PYTEST_ARGS)

$(TOOLS_READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo 'Hartvisor needs Python 3.11 or newer: make PYTHON=python3.x ...' >&2; exit 1; }
	@echo '== Setting up $(VENV): downloads the build tools and libraries once, about 150 MB'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python tools/requirements.py build run > $@.txt
	$(PIP) -r $@.txt
	@touch $@

# An editable install is needed once; after that, changed sources are rebuilt in place. The guests' build has its own line,
# quick where nothing changed, because an editable install succeeds with a warning where a part of it fails.
$(BUILT): $(PACKAGING) $(SOURCES)
	@echo '== Building the hart and the guests (a minute or so the first time)'
	@$(if $(filter $(PACKAGING),$?),$(PIP) --no-build-isolation --no-deps --editable .,$(BIN)/python setup.py --quiet build_ext --inplace)
	@$(BIN)/python -m guest.build
	@touch $@

$(TESTS_READY): pyproject.toml $(TOOLS_READY)
	@echo '== Adding the test tools to $(VENV)'
	@$(BIN)/python tools/requirements.py test > $@.txt
	$(PIP) -r $@.txt
	@touch $@

clean:
	rm -rf build dist hartvisor.egg-info guest/images .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -f $(BUILT)
	find core guest tui labs tests tools -name '__pycache__' -prune -exec rm -rf {} +
	find core -name '*.so' -delete
