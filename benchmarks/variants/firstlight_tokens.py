"""Our engine for language models: a line at its first token, then milliseconds of prompt and of new tokens.

    firstlight_tokens.py BUNDLE PROMPT NEW_TOKENS REPEATS

Each repeat turns the prompt by a token, as what the engine remembers of one would otherwise serve the next.
"""

import sys
import time

from firstlight.runtime import engines
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.deadline import NEVER
from firstlight.runtime.generation.wishes import Sampling

bundle, prompt, new, repeats = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
engine = engines.load(Bundle.open(bundle))
ids = engine.encode(prompt)
print(next(engine.generate(ids, Sampling(max_tokens=1), NEVER)).id, flush=True)
if repeats and hasattr(engine, "settle"):
    engine.settle()
for _ in range(repeats):
    ids = ids[1:] + ids[:1]
    start = time.perf_counter()
    tokens = engine.generate(ids, Sampling(max_tokens=new, min_tokens=new), NEVER)
    next(tokens)
    first = time.perf_counter()
    made = 1 + sum(1 for _ in tokens)
    assert made == new
    print(f"{(first - start) * 1e3:.3f} {(time.perf_counter() - first) * 1e3:.3f}", flush=True)
