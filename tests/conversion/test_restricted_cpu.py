"""Graphs of eight bits give a CPU with AVX2 alone the same answers: asked of an emulated Haswell."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import small_exports as small
from onnx import TensorProto

from firstlight.build.convert import ready
from firstlight.build.convert.ready import eight_bits

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "restricted_cpu.py"


@pytest.fixture(scope="module")
def restricted() -> ModuleType:
    """The script that is documented in docs/conversion.md."""
    described = importlib.util.spec_from_file_location("restricted_cpu", SCRIPT)
    assert described is not None
    assert described.loader is not None
    module = importlib.util.module_from_spec(described)
    described.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def emulator(restricted: ModuleType) -> list[str]:
    found = shutil.which("qemu-x86_64")
    assert found is not None, "apt install qemu-user"
    return [found, "-cpu", restricted.CPU]


def test_signed_weights_saturate_there_and_unsigned_ones_do_not(
    restricted: ModuleType, emulator: list[str], tmp_path: Path
) -> None:
    """Otherwise the emulation would prove nothing."""
    right = 64 * 255 * 127
    for element, wrong in ((TensorProto.INT8, True), (TensorProto.UINT8, False)):
        file = restricted.layer(tmp_path, element)
        there = restricted.asked("product", file, tmp_path / "y.npz", emulator)["y"]
        assert (there.flat[0] != right) == wrong


def test_bundles_answer_alike(
    restricted: ModuleType, emulator: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One made here, and one that came signed; as it came it answers otherwise."""
    exact = small.export(tmp_path, "token-classification", labels=80)
    small.describe(tmp_path, "token-classification", labels=80)
    made = ready.convert(exact, tmp_path / "made", precision="int8")
    came = small.eight_bits(exact)
    unsigned = ready.convert(came, tmp_path / "unsigned")
    monkeypatch.setattr(eight_bits, "unsigned", lambda model, folder: 0)
    signed = ready.convert(came, tmp_path / "signed")
    for bundle, limit in ((made, 1e-4), (unsigned, 1e-4)):
        compared = restricted.compare(bundle, tmp_path, emulator)
        assert compared["max_diff"] <= limit * compared["largest"]
        assert compared["agreement"] == 1.0
    assert restricted.compare(signed, tmp_path, emulator)["max_diff"] > 1e-2


MAKE = """
import sys
from firstlight.build.convert import ready
from firstlight.runtime.bundle import Bundle
made = ready.convert(sys.argv[1], sys.argv[2], precision=sys.argv[3])
print(Bundle.open(made).digest)
"""


@pytest.mark.parametrize("precision", ready.PRECISIONS)
def test_bundles_made_there_have_the_same_bytes(emulator: list[str], tmp_path: Path, precision: str) -> None:
    """So two machines get the same digest of the same lock."""
    small.export(tmp_path / "model", "token-classification", labels=80)
    small.describe(tmp_path / "model", "token-classification", labels=80)
    digests = set()
    for name, run in (("here", []), ("there", emulator)):
        command = [*run, sys.executable, "-c", MAKE, str(tmp_path / "model"), str(tmp_path / name), precision]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        digests.add(done.stdout.strip())
    assert len(digests) == 1
