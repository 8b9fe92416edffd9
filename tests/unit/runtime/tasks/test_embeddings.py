import pytest

from firstlight.runtime import notes, tensor
from firstlight.runtime.errors import InvalidInput
from firstlight.runtime.tasks.embeddings import FeatureExtraction, SentenceSimilarity


@pytest.fixture
def pooled(bundle, tokenizer):
    return FeatureExtraction(bundle(pooling="mean", prompts={"query": "who is in "}), tokenizer)


def hidden(*vectors):
    return tensor.Tensor(tensor.float32(*vectors).data, (1, len(vectors), len(vectors[0])))


def answer(task, inputs, output, **parameters):
    items, single, checked = task.check(inputs, parameters)
    answers = [task.postprocess(task.preprocess(item, checked), [[output]]) for item in items]
    return answers[0] if single else answers


def test_a_sentence_encoder_gives_one_vector_a_text(pooled):
    vector = tensor.float32([0.6, 0.8])
    expected = pytest.approx([0.6, 0.8])
    assert answer(pooled, "a", vector) == [expected]
    assert answer(pooled, ["a", "a"], vector) == [expected, expected]


@pytest.mark.parametrize(
    ("pooling", "expected"), [("mean", [2.0, 2.0]), ("max", [3.0, 4.0]), ("cls", [1.0, 4.0])]
)
def test_the_vector_before_it_is_normalised(bundle, tokenizer, pooling, expected):
    task = FeatureExtraction(bundle(pooling=pooling), tokenizer)
    items, _, checked = task.check("a", {"normalize": False})
    prepared = task.preprocess(items[0], checked)
    assert prepared.outputs == ("last_hidden_state",)
    assert task.postprocess(prepared, [[hidden([1.0, 4.0], [3.0, 0.0])]]) == [expected]


def test_any_other_encoder_gives_one_vector_a_token(bundle, tokenizer):
    task = FeatureExtraction(bundle(), tokenizer)
    assert task.outputs == ("last_hidden_state",)
    assert answer(task, "a", hidden([3.0, 4.0], [0.0, 0.0])) == [[[3.0, 4.0], [0.0, 0.0]]]
    units = answer(task, "a", hidden([3.0, 4.0], [0.0, 0.0]), normalize=True)
    assert units == [[pytest.approx([0.6, 0.8]), [0.0, 0.0]]]


def ids(task, text, **parameters):
    items, _, checked = task.check(text, parameters)
    return task.preprocess(items[0], checked).feeds[0]["input_ids"].data.tolist()


def test_which_end_of_a_long_text_is_left_out(pooled):
    text = "the " + "river " * 20 + "ship"
    assert ids(pooled, text)[:3] == [2, 5, 6]
    assert ids(pooled, text, truncation_direction="Left")[-3:] == [6, 15, 3]
    assert len(ids(pooled, text, truncation_direction="left")) == 16
    assert len(notes.warnings) == 1


@pytest.mark.parametrize("name", ["truncate", "truncation"])
def test_a_long_text_is_refused_when_it_must_not_be_cut(pooled, name):
    with pytest.raises(InvalidInput, match="the text has 42 tokens, the model takes 16"):
        ids(pooled, "the river " * 20, **{name: False})


def test_a_prompt_is_put_before_the_text(pooled):
    assert ids(pooled, "york", prompt_name="query") == ids(pooled, "who is in york")
    with pytest.raises(InvalidInput) as refused:
        pooled.check("a", {"prompt_name": "passage"})
    assert refused.value.hint == "prompts: query"


def test_similarity_is_the_cosine(bundle, tokenizer):
    task = SentenceSimilarity(bundle(pooling="mean"), tokenizer)
    compared = {"source_sentence": "the river", "sentences": ["the ship", "ann", "a"]}
    items, single, checked = task.check(compared, None)
    prepared = task.preprocess(items[0], checked)
    assert single
    assert [row["input_ids"].shape[1] for row in prepared.feeds] == [4, 4, 3, 3]
    vectors = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-0.6, 0.8]]
    found = task.postprocess(prepared, [[tensor.float32(vector)] for vector in vectors])
    assert found == pytest.approx([1.0, 0.0, -0.6])
    assert task.check([compared, compared], None)[1] is False


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("a", "inputs must be an object, got a string"),
        ({"sentences": ["a"]}, "inputs lacks 'source_sentence'"),
        ({"source_sentence": "a", "sentences": []}, "inputs.sentences is an empty list"),
        ({"source_sentence": "a", "sentences": "b"}, "inputs.sentences must be a list, got a string"),
        (
            {"source_sentence": "a", "sentences": ["b", None]},
            "inputs.sentences[1] must be a string, got null",
        ),
        ({"source_sentence": "a", "sentences": ["b"], "k": 1}, "inputs has an unknown field 'k'"),
    ],
)
def test_comparisons_that_are_refused(bundle, tokenizer, inputs, message):
    with pytest.raises(InvalidInput) as refused:
        SentenceSimilarity(bundle(pooling="mean"), tokenizer).check(inputs, None)
    assert refused.value.message == message
