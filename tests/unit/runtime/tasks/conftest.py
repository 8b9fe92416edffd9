"""A real tokenizer of a small vocabulary, and bundles that are only what a task reads of one."""

from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from firstlight.runtime import notes
from firstlight.runtime.tokenizers.hf import HfTokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = "the river run ##s ##ing san ##g ann of york ship came home at dawn where who is in this example it . , ? a"
VOCABULARY = {token: number for number, token in enumerate([*SPECIAL, *WORDS.split()])}


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory):
    """The tokenizer.json of a BERT of 31 tokens."""
    made = Tokenizer(models.WordPiece(VOCABULARY, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.add_special_tokens(SPECIAL)
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    made.save(str(path))
    return path


@pytest.fixture(scope="session")
def tokenizer(tokenizer_file):
    """The library's tokenizer."""
    return HfTokenizer(str(tokenizer_file))


@pytest.fixture
def bundle():
    """``bundle(labels=..., max_length=...)``: what a task reads of a bundle."""

    def make(labels=(), task="", **defaults):
        return SimpleNamespace(
            name="small", task=task, labels=list(labels), defaults={"max_length": 16} | defaults
        )

    return make


@pytest.fixture(autouse=True)
def _fresh_notes():
    notes.clear()
    yield
    notes.clear()
