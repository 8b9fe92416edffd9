#!/usr/bin/env bash
# The parts that take long to make, made before the tests share them: the emulator's environment, AWS's emulator of Lambda,
# and the root file systems of the images.
set -euo pipefail
cd "$(dirname "$0")/../.."
PYTHONPATH=tests .venv/bin/python -c '
from clients import rie
from parts import base, emulator, managed
rie.binary(), emulator.program(), managed.rootfs(), base.make()
'
