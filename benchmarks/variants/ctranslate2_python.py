"""CTranslate2 and tokenizers as their own packages are used: a line at the first answer.

ctranslate2_python.py BUNDLE TEXT TOKENS
"""

import sys

import ctranslate2
from tokenizers import Tokenizer

folder, text, tokens = sys.argv[1], sys.argv[2], int(sys.argv[3])
tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
translator = ctranslate2.Translator(folder, device="cpu", inter_threads=1, intra_threads=1)
source = tokenizer.encode(text).tokens
(result,) = translator.translate_batch(
    [source], beam_size=4, max_decoding_length=tokens, min_decoding_length=tokens, max_input_length=0
)
print("".join(result.hypotheses[0]).replace("\u2581", " "), flush=True)
