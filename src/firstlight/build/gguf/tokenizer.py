"""The tokenizer of a model folder as GGUF carries it: tokenizer.json, tokenizer_config.json and the chat template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firstlight.build.convert.source import read_json
from firstlight.build.gguf import byte_level, sentence_pieces
from firstlight.build.gguf.vocabulary import CONTROL, UNKNOWN, UNUSED, USER_DEFINED, Vocabulary, unused
from firstlight.runtime.errors import ConversionError

_FLAGGED = ("Llama", "CodeLlama", "Gemma", "GPTNeoX")
"""Tokenizer classes that go by ``add_bos_token`` whatever tokenizer.json says."""
_MOST_TOKENS = 1 << 24


def read(folder: Path) -> Vocabulary:
    """Read the tokenizer of a model folder.

    Raises:
        ConversionError: a file is missing or damaged, or llama.cpp has no tokenizer that cuts texts the same way.
    """
    file = folder / "tokenizer.json"
    if not file.is_file():
        hint = "save the tokenizer with AutoTokenizer.from_pretrained(...).save_pretrained(folder)"
        raise ConversionError(f"{folder} has no tokenizer.json", hint)
    found = _Tokenizer(
        read_json(file, required=True),
        read_json(folder / "tokenizer_config.json"),
        read_json(folder / "config.json"),
        read_json(folder / "generation_config.json"),
    )
    try:
        return found.vocabulary(_template(folder, found.settings))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        message = f"{file} does not describe a tokenizer: {type(error).__name__} {error}"
        raise ConversionError(message, "download it again") from error


def _template(folder: Path, settings: Mapping[str, Any]) -> str:
    """The chat template: a file of its own, or in tokenizer_config.json, where the one named default is meant."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    found = settings.get("chat_template")
    if isinstance(found, list):
        named = {str(entry.get("name")): entry.get("template") for entry in found if isinstance(entry, dict)}
        found = named.get("default")
    return found if isinstance(found, str) else ""


@dataclass(frozen=True, slots=True)
class _Tokenizer:
    content: Mapping[str, Any]
    settings: Mapping[str, Any]
    config: Mapping[str, Any]
    generation: Mapping[str, Any]

    def vocabulary(self, template: str) -> Vocabulary:
        if byte_level.is_byte_level(self.content):
            found = self._byte_level(template)
        elif sentence_pieces.is_sentence_pieces(self.content):
            found = self._sentence_pieces(template)
        else:
            kind = self.content["model"].get("type")
            message = f"the tokenizer is a {kind} of a kind that llama.cpp does not have"
            raise ConversionError(message, "kinds: byte-level BPE, SentencePiece's BPE with bytes, Unigram")
        return found

    def _byte_level(self, template: str) -> Vocabulary:
        model = self.content["model"]
        pre, notes = byte_level.rules(self.content)
        tokens = self._listed(model["vocab"])
        ids = self._ids(tokens)
        # Where a file names none, llama.cpp takes token 11 of a byte-level vocabulary for both.
        if "eos" not in ids:
            hint = "set eos_token in tokenizer_config.json, or eos_token_id in config.json"
            raise ConversionError("the tokenizer has no token that ends a text", hint)
        ids.setdefault("bos", ids["eos"])
        kinds = self._kinds(tokens, [1] * len(tokens))
        merges = byte_level.merges(model)
        flags = self._ends(tokens, ids)
        notes += self._stripping()
        return Vocabulary("gpt2", tokens, kinds, ids, flags, pre, (), merges, b"", template, notes)

    def _sentence_pieces(self, template: str) -> Vocabulary:
        model = self.content["model"]
        flags, notes = sentence_pieces.spaces(self.content)
        charsmap = b""
        if model["type"] == "Unigram":
            pieces, scored, charsmap = sentence_pieces.unigram(self.content)
            by_text = dict(zip(pieces, scored, strict=True))
            tokens = self._listed({piece: number for number, piece in enumerate(pieces)})
        else:
            tokens = self._listed(model["vocab"])
            by_text = sentence_pieces.scores(model["vocab"], byte_level.merges(model), self._special())
        scores = [by_text.get(token, sentence_pieces.LEAST) for token in tokens]
        ids = self._ids(tokens)
        kinds = self._kinds(tokens, sentence_pieces.kinds(tokens))
        if "unknown" in ids:
            kinds[ids["unknown"]] = UNKNOWN
        flags |= self._ends(tokens, ids)
        kind = "t5" if model["type"] == "Unigram" else "llama"
        notes += self._stripping()
        return Vocabulary(kind, tokens, kinds, ids, flags, "", scores, (), charsmap, template, notes)

    def _stripping(self) -> tuple[str, ...]:
        """A note where special tokens take the spaces around them, which llama.cpp does not know of a file."""
        greedy = [a for a in self.content.get("added_tokens") or () if a.get("lstrip") or a.get("rstrip")]
        names = ", ".join(str(added["content"]) for added in greedy[:4])
        return (f"spaces beside {names} are kept, which the original tokenizer drops",) if greedy else ()

    def _special(self) -> set[str]:
        return {str(added["content"]) for added in self.content.get("added_tokens") or ()}

    def _listed(self, vocabulary: Mapping[str, int]) -> list[str]:
        """All tokens by id; numbers that no token has are filled."""
        by_id = {int(number): str(token) for token, number in vocabulary.items()}
        by_id |= {int(added["id"]): str(added["content"]) for added in self.content.get("added_tokens") or ()}
        last = max(by_id)
        if min(by_id) < 0 or last > _MOST_TOKENS or last > 2 * len(by_id) + 1000:
            raise ConversionError(f"the tokenizer numbers {len(by_id)} tokens up to {last}")
        return [by_id.get(number, unused(number)) for number in range(last + 1)]

    def _kinds(self, tokens: list[str], kinds: list[int]) -> list[int]:
        for number, token in enumerate(tokens):
            if token == unused(number):
                kinds[number] = UNUSED
        for added in self.content.get("added_tokens") or ():
            kinds[int(added["id"])] = CONTROL if added.get("special") else USER_DEFINED
        return kinds

    def _ids(self, tokens: list[str]) -> dict[str, int]:
        numbers = {token: number for number, token in enumerate(tokens)}
        found: dict[str, int] = {}
        for name, key in (("bos", "bos"), ("unknown", "unk"), ("padding", "pad")):
            number = numbers.get(_text(self.settings.get(f"{key}_token")), self.config.get(f"{key}_token_id"))
            # A config.json may still have the numbers of the model it was copied from.
            if isinstance(number, int) and number in range(len(tokens)):
                found[name] = number
        if "unknown" not in found and isinstance(self.content["model"].get("unk_id"), int):
            found["unknown"] = self.content["model"]["unk_id"]
        ends = self._ending(numbers)
        return found | dict(zip(("eos", "eot", "eom"), ends, strict=False))

    def _ending(self, numbers: Mapping[str, int]) -> list[int]:
        """The tokens that end an answer, the one of the tokenizer first."""
        listed = self.generation.get("eos_token_id", self.config.get("eos_token_id"))
        found = [n for n in (listed if isinstance(listed, list) else [listed]) if n in range(len(numbers))]
        own = numbers.get(_text(self.settings.get("eos_token")))
        return list(dict.fromkeys([*([] if own is None else [own]), *found]))

    def _ends(self, tokens: list[str], ids: Mapping[str, int]) -> dict[str, bool]:
        """Whether a text begins with BOS and ends with EOS, as the tokenizer's post-processor has it."""
        before, after = _around(self.content.get("post_processor"))
        texts = {
            name: tokens[ids[name]] for name in ("bos", "eos") if ids.get(name, len(tokens)) < len(tokens)
        }
        if (
            set(before) - {texts.get("bos")}
            or set(after) - {texts.get("eos")}
            or max(len(before), len(after)) > 1
        ):
            message = f"the tokenizer puts {before} before a text and {after} after it"
            raise ConversionError(message, "llama.cpp puts BOS before and EOS after, or neither")
        flags = {"add_bos_token": bool(before), "add_eos_token": bool(after)}
        if str(self.settings.get("tokenizer_class", "")).startswith(_FLAGGED):
            flags |= {
                name: self.settings[name] for name in flags if isinstance(self.settings.get(name), bool)
            }
        return {name: is_set and name[4:7] in ids for name, is_set in flags.items()}


def _text(token: Any) -> str:
    """The text of a special token, which may be given alone or with its flags."""
    return str(token.get("content", "")) if isinstance(token, dict) else str(token or "")


def _around(processor: Any) -> tuple[list[str], list[str]]:
    """What a post-processor puts before and after a text."""
    for step in byte_level.steps(processor, "processors"):
        if step.get("type") == "TemplateProcessing":
            names = [next(iter(part.items())) for part in step["single"]]
            at = next(number for number, (kind, _) in enumerate(names) if kind == "Sequence")
            return [part["id"] for _, part in names[:at]], [part["id"] for _, part in names[at + 1 :]]
        if step.get("type") != "ByteLevel":
            raise ConversionError(
                f"the tokenizer ends texts by a step {step.get('type')}, which is not known here"
            )
    return [], []
