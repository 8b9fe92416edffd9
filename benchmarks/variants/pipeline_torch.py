"""transformers.pipeline on torch: prints a line at its first answer, then the milliseconds of ``repeats`` more."""

import json
import sys
import time

task, folder, text, repeats, threads = (
    sys.argv[1],
    sys.argv[2],
    sys.argv[3],
    int(sys.argv[4]),
    int(sys.argv[5]),
)

import torch
from transformers import pipeline

torch.set_num_threads(threads)
pipe = pipeline(task, model=folder, tokenizer=folder, device="cpu")
inputs = json.loads(text)
call = (lambda: pipe(**inputs)) if isinstance(inputs, dict) else (lambda: pipe(inputs))
print(json.dumps(call(), default=float)[:200], flush=True)
times = []
for _ in range(repeats):
    start = time.perf_counter()
    call()
    times.append((time.perf_counter() - start) * 1e3)
if repeats:
    print(json.dumps(times))
