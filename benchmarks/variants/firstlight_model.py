"""firstlight's own runtime in one process: the handler without gateway or worker."""

import json
import sys
import time

folder, text, repeats = sys.argv[1], sys.argv[2], int(sys.argv[3])

from firstlight.runtime.model import Model

model = Model.load(folder, verify="sizes")
inputs = json.loads(text)
print(json.dumps(model(inputs, {}))[:200], flush=True)
model.settle()
times = []
for _ in range(repeats):
    start = time.perf_counter()
    model(inputs, {})
    times.append((time.perf_counter() - start) * 1e3)
if repeats:
    print(json.dumps(times))
