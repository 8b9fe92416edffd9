"""token-classification: a label for each token, or entities put together from them.

As transformers' TokenClassificationPipeline (the rules of ``gather_pre_entities``, ``aggregate_words``,
``group_entities`` and ``aggregate_overlapping_entities``), with its strategies and its way of reading long texts in
windows when ``stride`` is given. Offsets are characters of the text that was sent.
"""

from __future__ import annotations

from firstlight.runtime.tasks import arithmetic, checks, windows
from firstlight.runtime.tasks.pieces import Pieces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from firstlight.runtime.types import JSON, BundleFacts, Encoding, Tensor, Tokenizer

    Entity = dict[str, JSON]

STRATEGIES = ["none", "simple", "first", "average", "max"]


class Token:
    """A token, its place in the text and its score for each label."""

    __slots__ = ("continues", "id", "index", "offsets", "scores", "word")

    def __init__(self, index: int, token_id: int, offsets: tuple[int, int], scores: list[float]) -> None:
        self.index = index
        self.id = token_id
        self.offsets = offsets
        self.scores = scores
        self.word = ""
        self.continues = False


class Word:
    """Tokens that share a label."""

    __slots__ = ("label", "score", "tokens", "word")

    def __init__(self, word: str, label: str, score: float, tokens: list[Token]) -> None:
        self.word = word
        self.label = label
        self.score = score
        self.tokens = tokens


class TokenClassification:
    """Entities of a text with their place in it."""

    name = "token-classification"
    outputs = ("scores",)
    schema: dict[str, JSON] = {  # noqa: RUF012
        "inputs": {
            "oneOf": [{"type": "string"}, {"type": "array", "minItems": 1, "items": {"type": "string"}}],
            "description": "a text or several",
        },
        "parameters": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "aggregation_strategy": {
                    "type": "string",
                    "enum": STRATEGIES,
                    "default": "none",
                    "description": "how tokens are put together: none answers each token; simple joins neighbours of "
                    "one label; first, average and max also give all tokens of a word one label",
                },
                "ignore_labels": {
                    "type": "array",
                    "items": {"type": "string"},
                    "default": ["O"],
                    "description": "labels to leave out of the answer",
                },
                "stride": {
                    "type": "integer",
                    "minimum": 0,
                    "description": "read a long text in windows that share this many tokens; the end is left out "
                    "when not given",
                },
            },
        },
        "output": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "entity": {"type": "string", "description": "with strategy none"},
                    "entity_group": {"type": "string", "description": "with every other strategy"},
                    "score": {"type": "number"},
                    "index": {"type": "integer", "description": "token number, with strategy none"},
                    "word": {"type": "string"},
                    "start": {"type": "integer"},
                    "end": {"type": "integer"},
                },
            },
        },
        "example": {
            "inputs": "Robert Burns was born in Alloway.",
            "parameters": {"aggregation_strategy": "simple"},
        },
    }

    def __init__(self, bundle: BundleFacts, tokenizer: Tokenizer) -> None:
        self._labels = list(bundle.labels)
        self._limit: int | None = bundle.defaults.get("max_length")
        self._tokenizer = tokenizer
        self._pieces = Pieces(tokenizer)

    def check(self, inputs: JSON, parameters: JSON) -> tuple[list[str], bool, dict[str, JSON]]:
        """Texts; see ``runtime.types.Task.check``."""
        items, single = checks.texts(inputs)
        return items, single, checks.parameters(self.name, self.schema["parameters"], parameters)

    def preprocess(self, item: str, parameters: Mapping[str, JSON]) -> windows.Prepared:
        """One row for each window of the text."""
        encoding = self._tokenizer.encode(item)
        stride = parameters.get("stride")
        if stride is None:
            parts = [windows.shortened(encoding, self._limit)]
        else:
            parts = windows.overlapping(encoding, self._limit, stride)
        rows = [windows.feeds(part) for part in parts]
        return windows.Prepared(rows, self.outputs, (item, parts, parameters))

    def postprocess(self, prepared: windows.Prepared, outputs: Sequence[Sequence[Tensor]]) -> JSON:
        """Entities in the order of the text."""
        text, parts, parameters = prepared.state
        strategy, ignored = parameters["aggregation_strategy"], parameters["ignore_labels"]
        found: list[Entity] = []
        for part, (scores,) in zip(parts, outputs, strict=True):
            tokens = self._tokens(text, part, scores)
            entities = self._entities(text, tokens, strategy)
            found += [e for e in entities if e.get("entity", e.get("entity_group")) not in ignored]
        return _merged(found) if len(parts) > 1 else found

    def _tokens(self, text: str, part: Encoding, scores: Tensor) -> list[Token]:
        """The text's own tokens, special ones left out."""
        ids, offsets, rows = part.ids, part.offsets, arithmetic.rows(scores)
        tokens = []
        for index, owner in enumerate(part.sequence_ids):
            if owner is not None:
                token = Token(index, ids[index], offsets[index], rows[index])
                token.word, token.continues = self._pieces.look(token.id, text, *token.offsets)
                tokens.append(token)
        return tokens

    def _entities(self, text: str, tokens: list[Token], strategy: str) -> list[Entity]:
        if strategy == "none":
            return [self._token(token) for token in tokens]
        words = [[token] for token in tokens] if strategy == "simple" else _words(tokens)
        groups: list[list[Word]] = []
        last = None
        for word in (self._word(text, word, strategy) for word in words):
            begins, tag = _tag(word.label)
            if groups and last == tag and not begins:
                groups[-1].append(word)
            else:
                groups.append([word])
            last = tag
        return [self._group(text, group) for group in groups]

    def _token(self, token: Token) -> Entity:
        best = arithmetic.best(token.scores)
        entity = {"entity": self._label(best), "score": token.scores[best], "index": token.index}
        return entity | {"word": token.word, "start": token.offsets[0], "end": token.offsets[1]}

    def _word(self, text: str, tokens: list[Token], strategy: str) -> Word:
        """One label for all tokens of a word."""
        if strategy in ("first", "simple"):
            scores = tokens[0].scores
        elif strategy == "max":
            scores = max((token.scores for token in tokens), key=max)
        else:
            columns = zip(*(token.scores for token in tokens), strict=True)
            scores = [sum(column) / len(tokens) for column in columns]
        best = arithmetic.best(scores)
        word = tokens[0].word
        if strategy != "simple":
            start, end = tokens[0].offsets[0], tokens[-1].offsets[1]
            word = self._pieces.join(
                [token.word for token in tokens], [token.id for token in tokens], text[start:end]
            )
        return Word(word, self._label(best), scores[best], tokens)

    def _group(self, text: str, words: list[Word]) -> Entity:
        """Neighbours of one label as one entity."""
        start, end = words[0].tokens[0].offsets[0], words[-1].tokens[-1].offsets[1]
        ids = [token.id for word in words for token in word.tokens]
        return {
            "entity_group": words[0].label.split("-", 1)[-1],
            "score": sum(word.score for word in words) / len(words),
            "word": self._pieces.join([word.word for word in words], ids, text[start:end]),
            "start": start,
            "end": end,
        }

    def _label(self, index: int) -> str:
        return self._labels[index] if index < len(self._labels) else f"LABEL_{index}"


def _tag(label: str) -> tuple[bool, str]:
    """Whether a label begins an entity, and its name; a label without B- or I- continues."""
    if label.startswith(("B-", "I-")):
        return label[0] == "B", label[2:]
    return False, label


def _words(tokens: list[Token]) -> list[list[Token]]:
    words: list[list[Token]] = []
    for token in tokens:
        if words and token.continues:
            words[-1].append(token)
        else:
            words.append([token])
    return words


def _merged(entities: list[Entity]) -> list[Entity]:
    """Of entities that overlap (windows share tokens) the longest, then the surest."""
    merged: list[Entity] = []
    for entity in sorted(entities, key=_start):
        if merged and merged[-1]["start"] <= entity["start"] < merged[-1]["end"]:
            if _rank(entity) > _rank(merged[-1]):
                merged[-1] = entity
        else:
            merged.append(entity)
    return merged


def _start(entity: Entity) -> int:
    start: int = entity["start"]
    return start


def _rank(entity: Entity) -> tuple[int, float]:
    return entity["end"] - entity["start"], entity["score"]
