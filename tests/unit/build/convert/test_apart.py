"""What is decided about a conversion with PyTorch before PyTorch is asked."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import numpy
import pytest
import random_bert

from firstlight.build.convert import apart
from firstlight.build.convert.apart import environment, exporting
from firstlight.runtime.errors import ConversionError


@pytest.mark.parametrize(
    ("architecture", "task", "head"),
    [
        ("DebertaV2ForSequenceClassification", None, "text-classification"),
        ("DebertaV2ForSequenceClassification", "zero-shot-classification", "text-classification"),
        ("ElectraForTokenClassification", None, "token-classification"),
        ("AlbertForQuestionAnswering", None, "question-answering"),
        ("ModernBertForMaskedLM", None, "fill-mask"),
        ("ModernBertForMaskedLM", "sentence-similarity", "feature-extraction"),
        ("T5EncoderModel", None, "feature-extraction"),
    ],
)
def test_heads(tmp_path: Path, architecture: str, task: str | None, head: str) -> None:
    assert apart.head_of(tmp_path, {"architectures": [architecture]}, task) == head


@pytest.mark.parametrize(
    ("architecture", "task", "words"),
    [
        ("FalconForCausalLM", None, "is no encoder | language models are served from GGUF"),
        ("LEDForConditionalGeneration", None, "is no encoder | of encoder-decoders"),
        ("BertForPreTraining", None, "have no head that can be served | heads that can be converted"),
        ("AlbertForMaskedLM", "text-classification", "weights for fill-mask, not for text-classification"),
    ],
)
def test_heads_that_are_not_for_this_converter(
    tmp_path: Path, architecture: str, task: str | None, words: str
) -> None:
    with pytest.raises(ConversionError) as caught:
        apart.head_of(tmp_path, {"architectures": [architecture]}, task)
    assert words in f"{caught.value.message} | {caught.value.hint}"


def test_an_interpreter_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.VARIABLE, str(tmp_path / "python"))
    with pytest.raises(ConversionError, match=r"which cannot be run: No such file"):
        environment.python()
    monkeypatch.setenv(environment.VARIABLE, sys.executable)
    monkeypatch.setattr(environment, "_TRIAL", "import no_such_package")
    with pytest.raises(ConversionError, match="No module named 'no_such_package'") as caught:
        environment.python()
    assert "torch, transformers, onnx, numpy, safetensors" in caught.value.hint
    monkeypatch.setattr(environment, "_TRIAL", "import json")
    assert environment.python() == Path(sys.executable)


def test_no_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(environment.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr(environment, "DISK_MB", 10**9)
    with pytest.raises(ConversionError, match="MB to be installed"):
        environment.python()


def test_other_pins_are_another_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = environment.folder()
    changed = tmp_path / "pins.txt"
    changed.write_text(environment.PINS.read_text().replace("torch==", "torch==9"))
    monkeypatch.setattr(environment, "PINS", changed)
    assert environment.folder() != before
    assert re.fullmatch(r"convert-[0-9a-f]{16}", before.name)


def test_versions_for_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are used: the pinned ones, or those of the interpreter that is named."""
    monkeypatch.delenv(environment.VARIABLE, raising=False)
    assert environment.versions()["torch"] == environment._pins()["torch"]
    monkeypatch.setenv(environment.VARIABLE, sys.executable)
    monkeypatch.setattr(environment, "_ASKING", environment._ASKING.replace("torch", "pytest"))
    monkeypatch.setattr(environment, "_ASKING", environment._ASKING.replace("transformers", "numpy"))
    assert environment.versions() == {"pytest": pytest.__version__, "numpy": numpy.__version__}


def test_everything_is_pinned_and_torch_comes_first() -> None:
    """For pip is told to look for nothing else, and for torch elsewhere."""
    names = list(environment._pins())
    assert names[0] == "torch"
    assert {"transformers", "onnx", "safetensors", "sentencepiece", "tokenizers"} <= set(names)


def test_only_known_files_of_a_folder_are_given_away(tmp_path: Path) -> None:
    folder = random_bert.bert(tmp_path / "model")
    for name in ("modeling_own.py", "pytorch_model.bin", "run.sh"):
        (folder / name).write_text("x")
    for trust, more in ((False, set()), (True, {"modeling_own.py"})):
        scratch = tmp_path / str(trust)
        scratch.mkdir()
        export = exporting.Export(Path(sys.executable), scratch, trust)
        export._gather(folder)
        names = {file.name for file in export.home.iterdir()}
        assert names == {"config.json", "tokenizer.json", "model.safetensors"} | more


def test_what_the_environment_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    variables = exporting.Export(Path(sys.executable), tmp_path, False)._variables()
    assert "secret" not in variables.values()
    assert variables["HF_HUB_OFFLINE"] == "1"
    assert variables["HOME"] == str(tmp_path)
    assert variables["PATH"] == os.environ["PATH"]


def test_an_environment_without_pytorch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(environment.VARIABLE, sys.executable)
    monkeypatch.setattr(environment, "_TRIAL", "import json")
    folder = random_bert.bert(tmp_path / "model")
    with pytest.raises(ConversionError, match="the conversion with PyTorch failed: ModuleNotFoundError"):
        apart.convert(folder, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
    with pytest.raises(ConversionError, match="fp32 or int8, not q4"):
        apart.convert(folder, tmp_path / "bundle", precision="q4")
