"""onnxruntime's Python binding and tokenizers, nothing else: the work of a bundle done by hand."""

import json
import sys
import time

folder, output, text, repeats, threads = (
    sys.argv[1],
    sys.argv[2],
    sys.argv[3],
    int(sys.argv[4]),
    int(sys.argv[5]),
)

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
options.add_session_config_entry("session.intra_op.allow_spinning", "0")
session = onnxruntime.InferenceSession(f"{folder}/model.onnx", options, providers=["CPUExecutionProvider"])
names = [node.name for node in session.get_inputs()]
inputs = json.loads(text)


def call() -> np.ndarray:
    encoding = tokenizer.encode(*inputs.values()) if isinstance(inputs, dict) else tokenizer.encode(inputs)
    values = {
        "input_ids": encoding.ids,
        "attention_mask": encoding.attention_mask,
        "token_type_ids": encoding.type_ids,
    }
    return session.run([output], {name: np.array([values[name]], dtype=np.int64) for name in names})[0]


print(call().ravel()[:4].tolist(), flush=True)
times = []
for _ in range(repeats):
    start = time.perf_counter()
    call()
    times.append((time.perf_counter() - start) * 1e3)
if repeats:
    print(json.dumps(times))
