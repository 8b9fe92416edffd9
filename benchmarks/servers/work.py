"""What every server but ours runs: the echo, and the sentence encoder by onnxruntime's own Python binding.

``SERVED`` names the folder of the bundle whose graph and tokenizer are used, or is ``echo``.
"""

import os
from collections.abc import Callable
from typing import Any


def load() -> Callable[[dict[str, Any]], Any]:
    """The function that answers ``{"inputs": ...}``."""
    served = os.environ["SERVED"]
    return echo if served == "echo" else encoder(served)


def echo(event: dict[str, Any]) -> Any:
    """What was sent, given back."""
    return event["inputs"]


def encoder(folder: str) -> Callable[[dict[str, Any]], Any]:
    """Text to a sentence embedding, on one thread as every server has it."""
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(f"{folder}/model.onnx", options, ["CPUExecutionProvider"])

    def encode(event: dict[str, Any]) -> Any:
        encoding = tokenizer.encode(event["inputs"])
        feeds = {
            "input_ids": np.array([encoding.ids], dtype=np.int64),
            "token_type_ids": np.array([encoding.type_ids], dtype=np.int64),
        }
        return session.run(["sentence_embedding"], feeds)[0][0].tolist()

    return encode
