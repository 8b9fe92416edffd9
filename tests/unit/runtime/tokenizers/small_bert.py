"""Small tokenizers with everything a real one has: a vocabulary, special tokens, embedded padding and truncation."""

import json

from firstlight.build.wordpiece_table import write_table
from firstlight.runtime.tokenizers.hf import HfTokenizer
from firstlight.runtime.tokenizers.wordpiece import WordPiece

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TEXT = "the a an river walk un aff able unaffable naive angstrom e i o ss said it don t "
TEXT += "n't 's do not 2 20 2026 한 中 日本 ñ É x ॲ"
WORDS = TEXT.split()
PIECES = [
    "able",
    "aff",
    "s",
    "ing",
    "ed",
    "e",
    "ss",
    "\u1161",
    "\u11ab",
    "na",
    "ñ",
    "\u0301",
    "é",
    "x",
    "xx",
    "xxxx",
]


def vocabulary():
    letters = [chr(code) for code in range(33, 127)]
    jamo = ["\u1100", "\u1112", "\u1161"]
    marks = ["\u0307", "\u302e", "\U0001f600", "\u0930"]
    tokens = (
        SPECIAL + letters + WORDS + jamo + marks + ["##" + piece for piece in PIECES + list("abcdefghij019")]
    )
    return {token: number for number, token in enumerate(dict.fromkeys(tokens))}


def describe(**normalizer):
    """A tokenizer.json as BERT's are, padded to 16 and cut to 12 as some are published."""
    vocab = vocabulary()
    special = {name: {"id": name, "ids": [vocab[name]], "tokens": [name]} for name in ("[CLS]", "[SEP]")}
    cls, sep = ({"SpecialToken": {"id": name, "type_id": 0}} for name in ("[CLS]", "[SEP]"))
    first, second = ({"Sequence": {"id": name, "type_id": kind}} for name, kind in (("A", 0), ("B", 1)))
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": {"max_length": 12, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": {
            "strategy": {"Fixed": 16},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "[PAD]",
        },
        "added_tokens": [{"id": vocab[token], "content": token, **flags} for token in SPECIAL],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
            **normalizer,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [cls, first, sep],
            "pair": [cls, first, sep, second, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
            "special_tokens": special,
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 20,
            "vocab": vocab,
        },
    }


class Both:
    """The table's tokenizer and the library's over one tokenizer.json."""

    def __init__(self, folder, described):
        folder.mkdir(exist_ok=True)
        self.file, self.table = folder / "tokenizer.json", folder / "wordpiece.bin"
        self.file.write_text(json.dumps(described), encoding="utf-8")
        assert write_table(self.file, self.table)
        self.ours = WordPiece(str(self.table), str(self.file))
        self.library = HfTokenizer(str(self.file))
