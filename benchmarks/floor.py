"""The C program of variants/floor.c, compiled once, with the token ids of an input."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import zlib
from pathlib import Path

import onnx
from tokenizers import Tokenizer

from firstlight.runtime.bundle import Bundle
from firstlight.runtime.engines import ort_api

HERE = Path(__file__).parent


def compiled() -> Path:
    """Compile the floor into the temporary folder unless this very source is there already."""
    source = HERE / "variants/floor.c"
    binary = Path(tempfile.gettempdir()) / f"firstlight-floor-{zlib.crc32(source.read_bytes()):x}"
    if not binary.exists():
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None:
            raise RuntimeError("the floor needs a C compiler: install gcc")
        subprocess.run([compiler, "-O2", "-Wall", "-o", str(binary), str(source), "-ldl"], check=True)
    return binary


class Floor:
    """The command that runs one bundle's graph on one input."""

    def __init__(self, bundle: Path, output: str, inputs: object) -> None:
        opened = Bundle.open(str(bundle), verify="sizes")
        tokenizer = Tokenizer.from_file(str(bundle / "tokenizer.json"))
        tokenizer.no_padding()
        texts = list(inputs.values()) if isinstance(inputs, dict) else [inputs]
        self.ids = tokenizer.encode(*texts).ids
        self.graph = opened.file(opened.model["graph"])
        self.output = output
        self.inputs = ",".join(
            node.name for node in onnx.load(self.graph, load_external_data=False).graph.input
        )

    def command(self, repeats: int) -> list[str]:
        """The argument vector; ``repeats`` 0 is a cold start with unpacked weights, as our worker starts."""
        ids = [str(one) for one in self.ids]
        names = f"FLOOR_INPUTS={self.inputs}"
        return [
            "env",
            names,
            str(compiled()),
            ort_api.library_path(),
            self.graph,
            self.output,
            str(repeats),
            *ids,
        ]
