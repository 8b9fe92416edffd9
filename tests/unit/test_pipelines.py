import warnings
from types import SimpleNamespace

import pytest

import firstlight
from firstlight import pipelines, starters
from firstlight.runtime import notes
from firstlight.runtime.errors import BundleError, InvalidInput, NotSupported, ProjectError

CONTEXT = "The lantern was found in the old boat house, a mile north of the harbour."


@pytest.fixture(scope="module")
def sentiment():
    return firstlight.pipeline("sentiment-analysis")


class Stand:
    """A model that answers what it is told and remembers what it was asked."""

    def __init__(self, task, answer):
        self.task = SimpleNamespace(name=task)
        self.bundle = SimpleNamespace(task=task, labels=["a", "b", "c"])
        self.answer = answer
        self.asked = []

    def __call__(self, inputs, parameters):
        self.asked.append((inputs, parameters))
        return self.answer(inputs) if callable(self.answer) else self.answer


def stand(task, answer=None, named=None, **settings):
    return pipelines.Pipeline(Stand(task, answer), named, settings)


def test_one_text(sentiment):
    (found,) = sentiment("what a lovely day")
    assert found["label"] == "POSITIVE"
    assert found["score"] > 0.9


def test_several_texts(sentiment):
    assert [found["label"] for found in sentiment(["what a lovely day", "a dull, sad film"])] == [
        "POSITIVE",
        "NEGATIVE",
    ]
    assert sentiment(("what a lovely day",))[0]["label"] == "POSITIVE"


def test_an_iterator_is_answered_by_an_iterator(sentiment):
    answers = sentiment(text for text in ["what a lovely day", "a dull, sad film"])
    assert next(answers)[0]["label"] == "POSITIVE"
    assert next(answers)[0]["label"] == "NEGATIVE"
    assert list(answers) == []


def test_parameters_of_a_call(sentiment):
    assert len(sentiment("what a lovely day", top_k=None)) == 2
    with pytest.raises(InvalidInput, match="text-classification has no parameter 'topk'"):
        sentiment("a", topk=3)


def test_question_and_context_by_name():
    answer = firstlight.pipeline("question-answering")
    found = answer(question="Where was the lantern found?", context=CONTEXT)
    assert "boat house" in found["answer"]
    assert CONTEXT[found["start"] : found["end"]] == found["answer"]
    assert answer({"question": "Where was the lantern found?", "context": CONTEXT}) == found
    assert answer(question=["Where was the lantern found?"], context=CONTEXT) == found
    with pytest.raises(InvalidInput, match="inputs lacks 'context'"):
        answer(question="Where was the lantern found?")


def test_other_starters():
    assert firstlight.pipeline("sentence-similarity")("a dog", ["a puppy", "tax law"])[0] > 0.5
    assert len(firstlight.pipeline("feature-extraction")("a dog")[0]) == 384
    with pytest.warns(UserWarning, match="similarity of sentence embeddings"):
        found = firstlight.pipeline("zero-shot-classification")("They won the match.", ["sport", "cooking"])
    assert found["labels"][0] == "sport"


def test_a_warning_is_given_at_every_call():
    classify = firstlight.pipeline("zero-shot-classification")
    for _ in range(2):
        with pytest.warns(UserWarning, match="similarity of sentence embeddings"):
            classify("They won the match.", ["sport", "cooking"])


def test_a_model_by_name_and_by_folder(sentiment):
    named = firstlight.pipeline(model="starter:sentiment")
    folder = firstlight.pipeline("sentiment-analysis", model=starters.path("sentiment"))
    assert named("a lovely day") == folder("a lovely day") == sentiment("a lovely day")
    assert named.task == "text-classification"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, InvalidInput, "pipeline needs a task or a model"),
        ({"task": "sentiment"}, InvalidInput, "there is no task 'sentiment'"),
        ({"task": "fill-mask"}, InvalidInput, "no model comes with the package for fill-mask"),
        (
            {"task": "translation_de_to_en"},
            InvalidInput,
            "no model comes with the package for translation_de_to_en",
        ),
        ({"model": object()}, InvalidInput, "model must be a name or a folder, got object"),
        ({"task": "question-answering", "model": "starter:sentiment"}, InvalidInput, "sentiment does not do"),
        ({"model": "/nowhere/at/all"}, ProjectError, "there is no model at /nowhere/at/all"),
        (
            {"model": "owner/name"},
            ProjectError,
            "there is no folder owner/name here, and .* not in the cache",
        ),
        (
            {"task": "ner", "model": "starter:lyrics", "tokenizer": object()},
            NotSupported,
            "a tokenizer of its own",
        ),
    ],
)
def test_pipelines_that_cannot_be_made(arguments, error, message, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(error, match=message):
        firstlight.pipeline(**arguments)


def test_a_folder_that_is_broken(tmp_path):
    (tmp_path / "bundle.json").write_text("{")
    with pytest.raises(BundleError):
        firstlight.pipeline(model=tmp_path)


@pytest.mark.parametrize(
    "argument", [{"device": 0}, {"framework": "tf"}, {"torch_dtype": "float16"}, {"batch_size": 8}]
)
def test_arguments_that_make_no_difference_are_warned_of(argument):
    with pytest.warns(UserWarning, match=f"{next(iter(argument))} is ignored"):
        firstlight.pipeline("sentiment-analysis", **argument)


def test_arguments_that_ask_for_what_is_done_are_silent(sentiment):
    firstlight.pipeline(
        "sentiment-analysis", device=-1, framework="pt", tokenizer="starter:sentiment", revision=None
    )
    assert sentiment("a lovely day", batch_size=None)


def test_what_a_model_notes_is_a_warning(sentiment):
    with pytest.warns(UserWarning, match="the text has 1002 tokens"):
        sentiment("day " * 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        notes.clear()
        sentiment("a lovely day")


SORTED = [{"label": "b", "score": 0.9}, {"label": "a", "score": 0.1}]


def test_top_k_of_the_pipeline_wraps_one_text_as_transformers_does():
    pipe = stand("text-classification", SORTED, top_k=None)
    assert pipe("x") == [SORTED]
    assert pipe("x", top_k=2) == SORTED
    assert pipe({"text": "x"}) == SORTED
    assert [parameters for _, parameters in pipe.model.asked] == [
        {"top_k": None},
        {"top_k": 2},
        {"top_k": None},
    ]


def test_all_scores_come_in_the_order_of_the_labels():
    pipe = stand("text-classification", lambda _: list(SORTED), return_all_scores=True)
    with pytest.warns(UserWarning, match="return_all_scores is deprecated"):
        assert pipe("x") == [[{"label": "a", "score": 0.1}, {"label": "b", "score": 0.9}]]


def test_one_question_in_a_list_is_one_question():
    pipe = stand("question-answering", [{"answer": "x"}])
    assert pipe([{"question": "q", "context": "c"}]) == {"answer": "x"}
    assert pipe("q", "c") == [{"answer": "x"}]
    assert pipe.model.asked[-1][0] == {"question": "q", "context": "c"}
    with pytest.warns(UserWarning, match="topk is deprecated"):
        pipe("q", "c", topk=3)
    assert pipe.model.asked[-1][1] == {"top_k": 3}


def test_one_mask_text_in_a_list_is_one_text():
    pipe = stand("fill-mask", lambda inputs: [["x"] for _ in inputs])
    assert pipe(["[MASK]"]) == ["x"]
    assert pipe(["[MASK]", "[MASK]"], tokenizer_kwargs={"truncation": True}) == [["x"], ["x"]]
    assert pipe.model.asked[-1][1] == {}


def test_features_are_lists():
    pipe = stand("feature-extraction", [[1.0]])
    assert pipe("x", return_tensors=False, tokenize_kwargs={"truncation": True}) == [[1.0]]
    assert pipe.model.asked == [("x", {"truncation": True})]
    with pytest.raises(NotSupported, match="no tensors"):
        pipe("x", return_tensors=True)


def test_labels_as_second_argument_and_sequences_by_name():
    pipe = stand("zero-shot-classification", {})
    pipe("x", ["a", "b"], multi_label=True)
    pipe(sequences=["x"], candidate_labels="a, b")
    assert pipe.model.asked == [
        ("x", {"candidate_labels": ["a", "b"], "multi_label": True}),
        (["x"], {"candidate_labels": "a, b"}),
    ]


def test_the_languages_of_a_translation_are_in_its_name():
    pipe = stand("translation", [{}], "translation_en_to_fr")
    pipe("x", "y")
    assert pipe.model.asked == [(["x", "y"], {"src_lang": "en", "tgt_lang": "fr"})]
    assert pipe.task == "translation_en_to_fr"


def test_a_call_without_inputs():
    with pytest.raises(InvalidInput, match="called without inputs"):
        stand("text-classification")()
