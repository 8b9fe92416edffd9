"""One run of ``export.py`` in the conversion environment: what it is given, and what it leaves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from firstlight import isolation
from firstlight.build.convert import parity
from firstlight.build.convert.ready.checking import LONG, Golden
from firstlight.build.convert.ready.purpose import longest
from firstlight.runtime.errors import ConversionError

_SCRIPT = Path(__file__).with_name("export.py")
_TAKEN = (".jinja", ".json", ".md", ".model", ".safetensors", ".spm", ".txt")
_CODE = ".py"
_INNER = ("1_Pooling/config.json",)
_PASSED_ON = ("LANG", "LC_ALL", "PATH", "SYSTEMROOT", "TMPDIR")
_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "OMP_NUM_THREADS": "1",
}


class Export:
    """A model's graph and answers, in a folder of its own.

    Args:
        interpreter: of the conversion environment.
        scratch: an empty folder.
        trust: run code of the repository.

    Attributes:
        home: config.json, the tokenizer and what else describes the model.
        graph: the plain graph, once it was run.
    """

    def __init__(self, interpreter: Path, scratch: Path, trust: bool) -> None:
        self._interpreter = interpreter
        self._scratch = scratch
        self._trust = trust
        self.home = scratch / "model"
        self._out = scratch / "out"
        self.graph = self._out / "model.onnx"

    def run(self, folder: Path, head: str, config: Mapping[str, Any]) -> None:
        """Export a model folder; its texts are those of ``parity.texts``.

        Raises:
            ConversionError: the script says why not, or was ended.
        """
        self._gather(folder)
        wish = {
            "model": str(self.home),
            "head": head,
            "texts": [list(text) if isinstance(text, tuple) else text for text in parity.texts(head)],
            "longest": longest(self.home, config, LONG),
            "trust": self._trust,
            "out": str(self._out),
        }
        asked = self._scratch / "wish.json"
        asked.write_text(json.dumps(wish), encoding="utf-8")
        command = [str(self._interpreter), "-I", str(_SCRIPT), str(asked)]
        done = subprocess.run(
            isolation.command(command, self._walls()),
            cwd=self._out,
            env=self._variables(),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        self._judge(done)
        if not (self.home / "tokenizer.json").is_file():
            shutil.copyfile(self._out / "tokenizer.json", self.home / "tokenizer.json")

    def golden(self) -> Golden:
        """What the model gave for each text.

        Raises:
            ConversionError: tokenizer.json makes other tokens of the texts than transformers does.
        """
        with np.load(self._out / "golden.npz", allow_pickle=False) as found:
            count = sum(name.startswith("ids.") for name in found.files)
            outputs = sorted({name.partition(".")[0] for name in found.files} - {"ids", "kinds"})
            feeds = []
            for number in range(count):
                ids, kinds = found[f"ids.{number}"], found[f"kinds.{number}"]
                feeds.append(
                    {"input_ids": ids, "token_type_ids": kinds, "mask_positions": np.array([len(ids) // 2])}
                )
            values = [{name: found[f"{name}.{number}"] for name in outputs} for number in range(count)]
        self._check_tokens(feeds, "start_logits" in outputs)
        return Golden(feeds, values)

    def _check_tokens(self, feeds: list[dict[str, Any]], pairs: bool) -> None:
        texts = parity.texts("question-answering" if pairs else "text-classification")
        own = parity.feeds(self.home / "tokenizer.json", texts)
        for text, mine, theirs in zip(texts, own, feeds, strict=False):
            if not np.array_equal(mine["input_ids"][: len(theirs["input_ids"])], theirs["input_ids"]):
                message = f"tokenizer.json makes other tokens of {text!r} than the model's own tokenizer"
                raise ConversionError(message, "save the tokenizer again with a current transformers")

    def _gather(self, folder: Path) -> None:
        """Only files that hold weights or descriptions; code of the repository only where it may be run."""
        self.home.mkdir()
        self._out.mkdir()
        kinds = (*_TAKEN, _CODE) if self._trust else _TAKEN
        for file in sorted(folder.iterdir()):
            if file.is_file() and file.suffix in kinds:
                (self.home / file.name).symlink_to(file.resolve())
        for name in _INNER:
            if (folder / name).is_file():
                (self.home / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(folder / name, self.home / name)

    def _walls(self) -> isolation.Walls:
        """No network and nothing to write to but the scratch folder; for code of the repository no home either.

        What a machine cannot enforce is left out (``isolation.support``).
        """
        seen = {file.resolve().parent for file in self.home.iterdir()}
        prefixes = {self._interpreter.parent.parent, self._interpreter.resolve().parent.parent}
        return isolation.Walls(
            writable=(self._scratch,),
            home=str(self._scratch),
            network=False,
            shm=True,
            user=None,
            tmp_mb=None,
            hidden=(Path.home(),) if self._trust else (),
            through=(self._scratch, *sorted(seen), *sorted(prefixes)),
        )

    def _variables(self) -> dict[str, str]:
        """Neither tokens nor anything else of the user's: the repository's code may look at what it is given."""
        passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        places = {"HOME": str(self._scratch), "HF_HOME": str(self._scratch / "hub")}
        return {**passed, **places, **_OFFLINE}

    def _judge(self, done: subprocess.CompletedProcess[str]) -> None:
        failed = self._out / "failed.json"
        if failed.is_file():
            said = json.loads(failed.read_text(encoding="utf-8"))
            raise ConversionError(str(said["message"]), str(said["hint"]))
        if done.returncode < 0:
            message = f"the conversion with PyTorch was ended by signal {-done.returncode}"
            raise ConversionError(message, "there may not have been memory enough for the model")
        if done.returncode or not self.graph.is_file():
            lines = [line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
            raise ConversionError(f"the conversion with PyTorch failed: {lines[-1][:400]}")
