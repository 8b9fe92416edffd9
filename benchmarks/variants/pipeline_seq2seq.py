"""transformers.pipeline on torch: prints a line at its first answer, then the milliseconds of ``repeats`` more.

pipeline_seq2seq.py TASK FOLDER TEXT NEW_TOKENS REPEATS
"""

import json
import sys
import time

task, folder, text = sys.argv[1:4]
tokens, repeats = (int(word) for word in sys.argv[4:6])

import torch
from transformers import pipeline

torch.set_num_threads(1)
pipe = pipeline(task, model=folder, tokenizer=folder, device="cpu")


def call():
    return pipe(text, max_new_tokens=tokens, min_new_tokens=tokens, num_beams=4)


print(json.dumps(call())[:200], flush=True)
times = []
for _ in range(repeats):
    start = time.perf_counter()
    call()
    times.append((time.perf_counter() - start) * 1e3)
print(json.dumps(times))
