"""Our model and the bare library in one process, call by call in turn; one line of each side's milliseconds.

    seq2seq_calls.py BUNDLE TEXT PARAMETERS REPEATS

The bare side is a tokenizers.Tokenizer, one call of ctranslate2.Translator.translate_batch with the options that ask
for the same search, and the text of its tokens. The weights are loaded once: both use the same ones.
"""

import json
import sys
import time

from tokenizers import Tokenizer

from firstlight.runtime.deadline import NEVER
from firstlight.runtime.model import Model

folder, text, parameters, repeats = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4])
model = Model.load(folder, verify="sizes")
engine, recorded = model.engine, {}
library = engine._translator


class Recorder:
    """Takes down what our engine asks the library for."""

    def translate_batch(self, source, **options):
        recorded.update(options)
        return library.translate_batch(source, **options)


engine._translator = Recorder()
answer = model(text, parameters)
engine._translator = library
model.settle()
options = {name: value for name, value in recorded.items() if name != "callback"}
tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")


def bare(**changed):
    source = tokenizer.encode(text).tokens
    (result,) = library.translate_batch([source], **(options | changed))
    return "".join(result.hypotheses[0]).replace("\u2581", " ")


calls = {
    "ours": lambda: model(text, parameters),
    "bare": bare,
    "bare, ended by its own rule": lambda: bare(patience=1, num_hypotheses=1),
}
assert NEVER.left > 0
times = {name: [] for name in calls}
for turn in range(repeats + 1):
    for name in (list(calls), list(calls)[::-1])[turn % 2]:
        start = time.perf_counter()
        calls[name]()
        if turn:
            times[name].append((time.perf_counter() - start) * 1e3)
print(json.dumps(answer)[:200], flush=True)
print(json.dumps(times))
