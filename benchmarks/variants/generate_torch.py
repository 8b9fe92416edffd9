"""transformers.pipeline("text-generation") on torch: a line at the first token, then one with the time of each answer.

generate_torch.py FOLDER PROMPT NEW_TOKENS REPEATS THREADS
"""

import json
import sys
import time

folder, prompt = sys.argv[1], sys.argv[2]
new, repeats, threads = int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])

import torch
from transformers import pipeline

torch.set_num_threads(threads)
pipe = pipeline("text-generation", model=folder, tokenizer=folder, device="cpu", dtype=torch.float32)
settings = {"do_sample": False, "return_full_text": False, "pad_token_id": 0}
print(json.dumps(pipe(prompt, max_new_tokens=1, **settings)), flush=True)
times = []
for _ in range(repeats):
    start = time.perf_counter()
    pipe(prompt, max_new_tokens=new, min_new_tokens=new, **settings)
    times.append((time.perf_counter() - start) * 1e3)
if repeats:
    print(json.dumps(times))
