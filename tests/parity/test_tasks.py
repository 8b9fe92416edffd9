"""Answers of our tasks against transformers.pipeline on the same weights: labels, spans and offsets equal."""

from __future__ import annotations

import sys
from typing import Any

import pytest

import firstlight

NER = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "MISC"]
NLI = ["contradiction", "neutral", "entailment"]
MOODS = ["calm", "glad", "sad", "angry", "afraid"]

TOLERANCE = 1e-4

TEXTS = {
    "plain": "Robert Burns was born in Alloway, and the whole town sang.",
    "empty": "",
    "spaces": " \t\n   ",
    "emoji": "I 💜 it 😀👩‍👩‍👧‍👦 so much!! 🏴󠁧󠁢󠁳󠁣󠁴󠁿🇫🇷",
    "cjk": "東京タワーへ行きました。 서울은 크다 北京欢迎你",
    "combining": "Cafe\u0301 nai\u0308ve Ångstro\u0308m x\u0336y\u0336z\u0336 e\u0301\u0302\u0303",
    "special": "He said [SEP] and [CLS] then [MASK] or [PAD] [UNK] <s> </s> <mask>",
    "mixed": "Привет, Sarah! مرحبا עולם hello नमस्ते Ωmega ẞtraße ﬁn İstanbul",
    "controls": "a\u0000b\u0007c\u200bd\ufeffe\u00adf\u2028g",
    "joined": "antidisestablishmentarianism" * 8,
    "unknown word": "x" * 300 + " and more",
    "punctuation": "don't... \"it's\" (well) — 50% of $3.50, e.g. a.b.c@x-y.org!?",
    "long": "The ship came home at dawn, and nobody in the harbour slept. " * 60,
    "100 kB": "Light fell on the water and the men began to sing again. " * 1800,
}
SHORT = {name: text for name, text in TEXTS.items() if name not in ("long", "100 kB")}
"""What fits 512 tokens."""

WORST: dict[str, float] = {}
"""The largest score difference by task so far; pytest's -rP report shows it beside each test."""


def near(task: str, ours: float, theirs: Any) -> bool:
    """Whether two scores agree; remembers by how much they differ.

    Scores above 1 are logits, or the sums that question-answering makes of spans that read the same.
    """
    difference = abs(ours - float(theirs)) / max(1.0, abs(float(theirs)))
    if difference > WORST.get(task, 0.0):
        WORST[task] = difference
        sys.stdout.write(f"{task}: scores differ by {difference:.2e}\n")
    return difference <= TOLERANCE


def same_labels(task: str, ours: Any, theirs: Any) -> None:
    """Lists of ``{"label", "score"}``."""
    assert [entry["label"] for entry in ours] == [entry["label"] for entry in theirs]
    assert all(near(task, a["score"], b["score"]) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_text_classification(pair: Any, family: str, name: str) -> None:
    side = pair(family, "ForSequenceClassification", tuple(MOODS))
    theirs = side.theirs("text-classification")
    text = TEXTS[name]
    same_labels("text-classification", side.ours(text), theirs(text, truncation=True))
    same_labels(
        "text-classification", side.ours(text, {"top_k": None}), theirs(text, truncation=True, top_k=None)
    )


@pytest.mark.parametrize("function", ["softmax", "sigmoid", "none"])
@pytest.mark.parametrize("problem", [None, "multi_label_classification", "regression"])
def test_text_classification_functions(pair: Any, problem: str | None, function: str) -> None:
    side = pair("distilbert", "ForSequenceClassification", tuple(MOODS), problem_type=problem)
    theirs = side.theirs("text-classification")
    text = TEXTS["plain"]
    same_labels("text-classification", side.ours(text, {"top_k": 3}), theirs(text, top_k=3))
    asked = {"top_k": 5, "function_to_apply": function}
    same_labels("text-classification", side.ours(text, asked), theirs(text, **asked))


def test_text_classification_shapes(pair: Any) -> None:
    side = pair("bert", "ForSequenceClassification", tuple(MOODS))
    theirs = side.theirs("text-classification")
    texts = [TEXTS["plain"], TEXTS["emoji"]]
    same_labels("text-classification", side.ours(texts), theirs(texts))
    for a, b in zip(side.ours(texts, {"top_k": 2}), theirs(texts, top_k=2), strict=True):
        same_labels("text-classification", a, b)
    two = {"text": TEXTS["plain"], "text_pair": TEXTS["mixed"]}
    same_labels("text-classification", [side.ours(two)], [theirs(two)])


def same_entities(ours: Any, theirs: Any) -> None:
    """Lists of entities."""
    assert [e | {"score": 0} for e in ours] == [e | {"score": 0} for e in theirs]
    assert all(
        near("token-classification", a["score"], b["score"]) for a, b in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
@pytest.mark.parametrize("family", ["bert", "distilbert", "cased"])
def test_token_classification(pair: Any, family: str, strategy: str) -> None:
    side = pair(family, "ForTokenClassification", tuple(NER))
    theirs = side.theirs("token-classification", aggregation_strategy=strategy)
    for text in TEXTS.values():
        same_entities(side.ours(text, {"aggregation_strategy": strategy}), theirs(text))


@pytest.mark.parametrize("strategy", ["simple", "first", "average", "max"])
@pytest.mark.parametrize("stride", [0, 1, 60])
def test_token_classification_in_windows(pair: Any, strategy: str, stride: int) -> None:
    side = pair("distilbert", "ForTokenClassification", tuple(NER))
    theirs = side.theirs("token-classification", aggregation_strategy=strategy, stride=stride)
    asked = {"aggregation_strategy": strategy, "stride": stride}
    for name in ("plain", "long", "mixed"):
        same_entities(side.ours(TEXTS[name], asked), theirs(TEXTS[name]))
    mixed = " ".join(text for name, text in SHORT.items() if name != "unknown word") * 4
    same_entities(side.ours(mixed, asked), theirs(mixed))


def test_token_classification_ignores_labels(pair: Any) -> None:
    side = pair("bert", "ForTokenClassification", tuple(NER))
    theirs = side.theirs("token-classification", aggregation_strategy="simple", ignore_labels=["PER", "MISC"])
    asked = {"aggregation_strategy": "simple", "ignore_labels": ["PER", "MISC"]}
    same_entities(side.ours(TEXTS["mixed"], asked), theirs(TEXTS["mixed"]))


@pytest.mark.parametrize("strategy", ["none", "simple"])
def test_token_classification_of_bytes(pair: Any, strategy: str) -> None:
    side = pair("roberta", "ForTokenClassification", tuple(NER))
    theirs = side.theirs("token-classification", aggregation_strategy=strategy)
    for text in TEXTS.values():
        same_entities(side.ours(text, {"aggregation_strategy": strategy}), theirs(text))


CONTEXTS = {name: text for name, text in TEXTS.items() if text} | {
    "windows": " ".join(text for name, text in SHORT.items() if name != "unknown word"),
    "one word": "Alloway",
}
ASKED: list[dict[str, Any]] = [
    {},
    {"top_k": 3},
    {"max_seq_len": 64, "doc_stride": 20},
    {"max_seq_len": 48, "doc_stride": 0, "top_k": 5},
    {"max_answer_len": 1},
    {"max_answer_len": 60, "top_k": 20, "max_seq_len": 100},
    {"handle_impossible_answer": True, "top_k": 2},
    {"align_to_words": False, "top_k": 4},
    {"align_to_words": False, "handle_impossible_answer": True, "max_seq_len": 40, "doc_stride": 3},
]


@pytest.mark.parametrize("asked", ASKED, ids=str)
@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_question_answering(pair: Any, family: str, asked: dict[str, Any]) -> None:
    side = pair(family, "ForQuestionAnswering")
    theirs = side.theirs("question-answering")
    for name, context in CONTEXTS.items():
        given = {"context": context if name != "100 kB" or not asked else context[:20_000]}
        for question in ("Who came home at dawn?", "何 — où est [SEP] l'été 💜?"):
            given["question"] = question
            same_answers(side.ours(given, asked), theirs(**given, **asked))


def same_answers(ours: Any, theirs: Any) -> None:
    """Answers with places; what has no probability at all is in no order."""
    listed = [[a] if isinstance(a, dict) else a for a in (ours, theirs)]
    ours, theirs = ([a for a in answers if a["score"] > 1e-7] for answers in listed)
    assert [a | {"score": 0} for a in ours] == [a | {"score": 0} for a in theirs]
    assert all(near("question-answering", a["score"], b["score"]) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("multi", [False, True])
@pytest.mark.parametrize("labels", [NLI, NLI[::-1]], ids=["last", "first"])
def test_zero_shot_classification(pair: Any, labels: list[str], multi: bool) -> None:
    side = pair("bert", "ForSequenceClassification", tuple(labels), task="zero-shot-classification")
    theirs = side.theirs("zero-shot-classification")
    asked = {"candidate_labels": ["sport", "the sea", "cooking", "東京"], "multi_label": multi}
    for text in TEXTS.values():
        if not text:
            continue
        same_scores(side.ours(text, asked), theirs(text, **asked))
        one = {"candidate_labels": "weather", "hypothesis_template": "It is about {}, is it not?"}
        same_scores(side.ours(text, one), theirs(text, **one))


def same_scores(ours: Any, theirs: Any) -> None:
    """``{"sequence", "labels", "scores"}``."""
    assert (ours["sequence"], ours["labels"]) == (theirs["sequence"], theirs["labels"])
    pairs = zip(ours["scores"], theirs["scores"], strict=True)
    assert all(near("zero-shot-classification", a, b) for a, b in pairs)


MASKED = [
    "The sun rises in the {mask}.",
    "{mask}",
    "Two {mask} and a {mask} sat there 💜",
    "東京 {mask} e\u0301 [PAD] {mask}!",
]


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_fill_mask(pair: Any, family: str) -> None:
    side = pair(family, "ForMaskedLM")
    theirs = side.theirs("fill-mask")
    mask = theirs.tokenizer.mask_token
    for text in MASKED:
        for asked in ({}, {"top_k": 20}, {"targets": ["the", "a", "zzzqqq"], "top_k": 2}):
            same_words(side.ours(text.format(mask=mask), asked), theirs(text.format(mask=mask), **asked))


def same_words(ours: Any, theirs: Any) -> None:
    """Lists of words, or lists of such lists."""
    if isinstance(theirs[0], list):
        for a, b in zip(ours, theirs, strict=True):
            same_words(a, b)
        return
    assert [e | {"score": 0} for e in ours] == [e | {"score": 0} for e in theirs]
    assert all(near("fill-mask", a["score"], b["score"]) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("name", SHORT)
def test_feature_extraction(pair: Any, name: str) -> None:
    side = pair("distilbert", "Model")
    (theirs,) = side.theirs("feature-extraction")(SHORT[name])
    (ours,) = side.ours(SHORT[name])
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert all(near("feature-extraction", x, y) for x, y in zip(a, b, strict=True))


EASY = "Machine learning is so easy."
OTHERS = [
    "Deep learning is so straightforward.",
    "This is so difficult, like rocket science.",
    "I can't believe how much I struggled with this.",
]


def test_sentence_similarity_of_the_real_model(minilm: Any) -> None:
    """The figures in the documentation of huggingface_hub's sentence_similarity."""
    found = minilm.ours({"source_sentence": EASY, "sentences": OTHERS}, task="sentence-similarity")
    assert found == pytest.approx([0.7785726189613342, 0.45876261591911316, 0.2906220555305481], abs=1e-5)


@pytest.mark.parametrize("name", TEXTS)
def test_sentence_embedding_of_the_real_model(minilm: Any, name: str) -> None:
    """The mean of the token vectors, normalised, as sentence-transformers computes it."""
    (ours,) = minilm.ours(TEXTS[name], task="feature-extraction")
    cut = {"truncation": True, "max_length": 256}
    (tokens,) = minilm.theirs("feature-extraction")(TEXTS[name], tokenize_kwargs=cut)
    mean = [sum(column) / len(tokens) for column in zip(*tokens, strict=True)]
    length = sum(value * value for value in mean) ** 0.5
    theirs = [value / length for value in mean]
    assert all(near("sentence embedding", a, b) for a, b in zip(ours, theirs, strict=True))
    (raw,) = minilm.ours(TEXTS[name], {"normalize": False}, task="feature-extraction")
    assert all(near("sentence embedding", a, b) for a, b in zip(raw, mean, strict=True))


TWO = [TEXTS["plain"], TEXTS["emoji"]]
CALLS: list[tuple[str, str, dict[str, Any], tuple[Any, ...], dict[str, Any]]] = [
    ("ForSequenceClassification", "text-classification", {}, ("a",), {}),
    ("ForSequenceClassification", "text-classification", {}, (["a"],), {}),
    ("ForSequenceClassification", "text-classification", {}, (TWO,), {"top_k": 2}),
    ("ForSequenceClassification", "text-classification", {"top_k": None}, ("a",), {}),
    ("ForSequenceClassification", "text-classification", {"top_k": 2}, (TWO,), {}),
    ("ForSequenceClassification", "text-classification", {"top_k": 2}, ("a",), {"top_k": 1}),
    ("ForSequenceClassification", "text-classification", {"return_all_scores": True}, ("a",), {}),
    ("ForSequenceClassification", "text-classification", {"return_all_scores": True}, (TWO,), {}),
    ("ForSequenceClassification", "text-classification", {}, ({"text": "a", "text_pair": "b"},), {}),
    ("ForTokenClassification", "ner", {"aggregation_strategy": "simple"}, (TWO,), {}),
    ("ForTokenClassification", "ner", {}, (TWO[0],), {"ignore_labels": []}),
    ("ForQuestionAnswering", "question-answering", {}, (), {"question": "Who?", "context": TWO[0]}),
    ("ForQuestionAnswering", "question-answering", {}, (), {"question": ["Who?"], "context": TWO[0]}),
    ("ForQuestionAnswering", "question-answering", {}, (), {"question": ["Who?", "Where?"], "context": TWO}),
    (
        "ForQuestionAnswering",
        "question-answering",
        {"top_k": 2},
        ({"question": "Who?", "context": TWO[0]},),
        {},
    ),
    ("ForQuestionAnswering", "question-answering", {}, ("Who?", TWO[0]), {"topk": 2}),
    ("ForMaskedLM", "fill-mask", {"top_k": 2}, ("a [MASK] c",), {}),
    ("ForMaskedLM", "fill-mask", {}, (["a [MASK] c"],), {"targets": "the"}),
    ("ForMaskedLM", "fill-mask", {}, (["a [MASK] c", "[MASK] [MASK]"],), {}),
]


@pytest.mark.parametrize(("head", "task", "settings", "inputs", "parameters"), CALLS, ids=str)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_calls_answer_in_the_same_shape(
    pair: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    head: str,
    task: str,
    settings: dict[str, Any],
    inputs: tuple[Any, ...],
    parameters: dict[str, Any],
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
    labels = {"ForSequenceClassification": tuple(MOODS), "ForTokenClassification": tuple(NER)}.get(head, ())
    side = pair("bert", head, labels)
    ours = firstlight.pipeline(task, model=side.folder, **settings)(*inputs, **parameters)
    theirs = side.theirs(task, **settings)(*inputs, **parameters)
    assert without_scores(ours) == without_scores(theirs)


def without_scores(answer: Any) -> Any:
    """The same nesting of lists and objects, with the scores left out."""
    if isinstance(answer, list):
        return [without_scores(entry) for entry in answer]
    return {key: value for key, value in answer.items() if key != "score"}
