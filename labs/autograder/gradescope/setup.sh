#!/usr/bin/env bash
# Gradescope builds the image with this, once. The archive that you upload holds, beside these scripts, the wheel of the
# Hartvisor that you use (python -m build --wheel) and lab.env, which says LAB=2 and SEED=your own.
set -euo pipefail

apt-get update
apt-get install -y --no-install-recommends python3 python3-pip python3-venv
python3 -m venv /autograder/venv
/autograder/venv/bin/pip install /autograder/source/hartvisor-*.whl riscv-assembler==1.2.1
