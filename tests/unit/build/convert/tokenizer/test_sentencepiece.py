from __future__ import annotations

from pathlib import Path

import pytest
import small_pieces
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece import sentencepiece_model_pb2 as pb2

from firstlight.build.convert.tokenizer import sentencepiece
from firstlight.runtime.errors import ConversionError

PIECES = st.lists(
    st.tuples(st.text(min_size=1, max_size=4), st.floats(width=32, allow_nan=False), st.integers(1, 6)),
    min_size=1,
    max_size=20,
)


@given(
    PIECES, st.sampled_from([1, 2, 3, 4]), st.booleans(), st.booleans(), st.booleans(), st.binary(max_size=9)
)
def test_reads_what_protobuf_writes(
    pieces: list[tuple[str, float, int]], kind: int, trims: bool, prefix: bool, byte: bool, charsmap: bytes
) -> None:
    proto = pb2.ModelProto()
    for text, score, which in pieces:
        proto.pieces.add(piece=text, score=score, type=which)
    proto.trainer_spec.model_type = kind
    proto.trainer_spec.unk_id = len(pieces) - 1
    proto.trainer_spec.pad_id = -1  # ten bytes
    proto.trainer_spec.byte_fallback = byte
    proto.trainer_spec.self_test_sample_size = 7
    proto.normalizer_spec.remove_extra_whitespaces = trims
    proto.normalizer_spec.add_dummy_prefix = prefix
    proto.normalizer_spec.precompiled_charsmap = charsmap
    model = sentencepiece.parsed(proto.SerializeToString())
    assert [(piece.text, piece.score, piece.kind) for piece in model.pieces] == pieces
    assert (model.kind, model.unknown) == (kind, len(pieces) - 1)
    assert (model.trims, model.dummy_prefix, model.byte_fallback) == (trims, prefix, byte)
    assert model.charsmap == charsmap


def test_reads_what_the_library_trains(tmp_path: Path) -> None:
    content = small_pieces.trained()
    (tmp_path / "spiece.model").write_bytes(content)
    model, reference = sentencepiece.read(tmp_path / "spiece.model"), small_pieces.reference(content)
    assert [piece.text for piece in model.pieces] == [
        reference.id_to_piece(number) for number in range(reference.get_piece_size())
    ]
    assert model.unknown == reference.unk_id()
    assert model.charsmap
    assert model.trims


@given(st.binary(max_size=200))
def test_other_bytes_are_refused(content: bytes) -> None:
    """Or are, by chance, a model."""
    try:
        sentencepiece.parsed(content)
    except (ValueError, IndexError):
        return


@pytest.mark.parametrize("kept", [0, 1, 100, 1000])
def test_a_cut_file_is_an_error(tmp_path: Path, kept: int) -> None:
    file = tmp_path / "spiece.model"
    file.write_bytes(small_pieces.trained()[:kept])
    with pytest.raises(ConversionError, match="not a SentencePiece model") as caught:
        sentencepiece.read(file)
    assert caught.value.hint == "download it again"


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="cannot be read"):
        sentencepiece.read(tmp_path / "spiece.model")


def test_words_are_not_known(tmp_path: Path) -> None:
    file = tmp_path / "spiece.model"
    file.write_bytes(small_pieces.trained(kind="word", vocab_size=60))
    with pytest.raises(ConversionError, match="words or characters"):
        sentencepiece.read(file)
