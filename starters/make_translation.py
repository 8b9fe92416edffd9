"""Make the starter ``translate-en2fr`` of a trained Marian model.

    python starters/make_translation.py --model FOLDER --out src/firstlight/starters/translate-en2fr

FOLDER holds ``ct2-int8/`` (the model as CTranslate2 wants it) and ``source.spm``. The SentencePiece model becomes a
tokenizer.json, so that answering needs the ``tokenizers`` library alone; both are compared on every test sentence.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from firstlight.build import bundle

DEFAULTS = {
    "max_length": 128,
    "src_lang": "en",
    "tgt_lang": "fr",
    "generation": {"num_beams": 4, "max_length": 96},
}
SOURCE = {
    "repo": "trained by this project",
    "revision": "pilot",
    "licence": "weights Apache-2.0; trained on Tatoeba sentences, CC BY 2.0 FR",
}
END = "</s>"


def tokenizer_of(spm: Path) -> Tokenizer:
    """The unigram SentencePiece model in a file, as a tokenizer of the ``tokenizers`` library that adds ``</s>``."""
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(spm.read_bytes())
    pieces = [(piece.piece, piece.score) for piece in proto.pieces]
    tokenizer = Tokenizer(models.Unigram(pieces, proto.trainer_spec.unk_id, byte_fallback=False))
    steps = [normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip()]
    charsmap = proto.normalizer_spec.precompiled_charsmap
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Precompiled(charsmap), *steps] if charsmap else steps
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    special = [piece.piece for piece in proto.pieces if piece.type in (2, 3)]
    tokenizer.add_special_tokens([AddedToken(piece, special=True, normalized=False) for piece in special])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, tokenizer.token_to_id(END))]
    )
    return tokenizer


def compare(tokenizer: Tokenizer, spm: Path, sentences: list[str]) -> None:
    """Refuse a tokenizer that cuts one of the sentences otherwise than SentencePiece does."""
    reference = sentencepiece.SentencePieceProcessor(model_file=str(spm))
    for sentence in sentences:
        expected = [*reference.encode(sentence, out_type=str), END]
        got = tokenizer.encode(sentence).tokens
        # A piece outside the vocabulary is spelt out by the one and named <unk> by the other: the ids agree.
        if [reference.piece_to_id(piece) for piece in expected] != tokenizer.encode(sentence).ids:
            raise SystemExit(f"error: {sentence!r} is {expected} for SentencePiece and {got} here")


def main() -> None:
    """Write the bundle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="folder with tatoeba-en-fr, to compare tokenizers on")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    tokenizer = tokenizer_of(args.model / "source.spm")
    if args.data:
        sentences = (args.data / "tatoeba-en-fr/test.en").read_text(encoding="utf-8").splitlines()
        compare(tokenizer, args.model / "source.spm", sentences)
        print(f"tokenizers agree on {len(sentences)} sentences")
    tokenizer.save(str(args.out / "tokenizer.json"))
    for name in ("config.json", "model.bin", "shared_vocabulary.json"):
        shutil.copy(args.model / "ct2-int8" / name, args.out / name)
    meta = {
        "name": "translate-en2fr",
        "task": "translation",
        "engine": "ctranslate2",
        "precision": "int8",
        "model": {"file": "model.bin"},
        "labels": [],
        "defaults": DEFAULTS,
        "source": SOURCE,
        "parity": {},
    }
    print("bundle", bundle.write(args.out, meta).digest)


if __name__ == "__main__":
    main()
