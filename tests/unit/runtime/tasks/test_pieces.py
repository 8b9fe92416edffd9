import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import decoders

from firstlight.runtime.tasks.pieces import Pieces

WORD = st.text(st.sampled_from("ab#'. ?!,ntmsverdo"), min_size=1, max_size=8)


@given(words=st.lists(WORD, min_size=1, max_size=6))
def test_words_are_joined_as_the_library_joins_them(tokenizer, words):
    assert Pieces(tokenizer).join(words, [], "") == decoders.WordPiece().decode(words)


@pytest.mark.parametrize(
    ("text", "inside"),
    [("runs", [False, True]), ("run river", [False, False]), ("zzz runs", [False, False, True])],
)
def test_which_tokens_continue_a_word(tokenizer, text, inside):
    pieces, encoding = Pieces(tokenizer), tokenizer.encode(text)
    rows = zip(encoding.ids[1:-1], encoding.offsets[1:-1], strict=True)
    assert [pieces.look(token, text, *offsets)[1] for token, offsets in rows] == inside


class Bytes:
    """A tokenizer whose vocabulary does not mark inner pieces."""

    def id(self, token):
        return {"<unk>": 3}.get(token)

    def token(self, token_id):
        return f"t{token_id}"

    def decode(self, ids, skip_special):
        assert not skip_special
        return "+".join(map(str, ids))


def test_without_a_prefix_a_space_begins_a_word():
    pieces = Pieces(Bytes())
    assert pieces.look(7, "a bc", 2, 3) == ("t7", False)
    assert pieces.look(7, "a bc", 3, 4) == ("t7", True)
    assert pieces.look(7, "a bc", 0, 1) == ("t7", False)
    assert pieces.look(3, "a bc", 2, 4) == ("bc", False)
    assert pieces.join(["t7", "t8"], [7, 8], "bc") == "7+8"
    assert pieces.join(["t7", "bc"], [7, 3], "bc") == "bc"
