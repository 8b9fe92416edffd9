"""A tokenizer as GGUF files carry it, and what of it goes into their metadata.

Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, "Tokenizer". Kinds of tokens: llama.h,
enum llama_token_type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from firstlight.build.gguf.writer import Value
from firstlight.runtime.errors import ConversionError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
_FEWEST = 0.9
"""Of the rows of the embeddings: models round their number up, some by a few hundred."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Tokens and the rules that cut texts into them.

    Attributes:
        model: ``gpt2`` (byte-level BPE), ``llama`` (SentencePiece's BPE with bytes) or ``t5`` (Unigram).
        pre: name of the regular expressions that cut a text before BPE does, as llama.cpp knows them.
        tokens: texts by id; byte-level ones in the letters GPT-2 has for bytes.
        kinds: what each is: NORMAL, CONTROL and so on.
        scores: of ``llama`` and ``t5``, higher is taken first.
        merges: of ``gpt2``, best first.
        ids: special tokens by their names in the metadata: ``bos``, ``eos``, ``eot``, ``unknown`` and so on.
        flags: what of ``add_bos_token``, ``add_space_prefix`` and their like is set.
        charsmap: SentencePiece's normalisation, compiled.
        template: the chat template, in Jinja.
        notes: where texts may be cut otherwise than by the original tokenizer.
    """

    model: str
    tokens: Sequence[str]
    kinds: Sequence[int]
    ids: Mapping[str, int]
    flags: Mapping[str, bool]
    pre: str = ""
    scores: Sequence[float] = ()
    merges: Sequence[str] = ()
    charsmap: bytes = b""
    template: str = ""
    notes: tuple[str, ...] = field(default=())

    def metadata(self, rows: int) -> dict[str, Value]:
        """The keys that go into the file.

        Args:
            rows: of the embeddings; what they have beyond the tokens is filled with unused ones.

        Raises:
            ConversionError: the tokenizer belongs to other weights.
        """
        self._check(rows)
        missing = rows - len(self.tokens)
        found: dict[str, Value] = {"tokenizer.ggml.model": self.model}
        found["tokenizer.ggml.pre"] = self.pre or "default"
        found["tokenizer.ggml.tokens"] = [
            *self.tokens,
            *(unused(number) for number in range(len(self.tokens), rows)),
        ]
        found["tokenizer.ggml.token_type"] = [*self.kinds, *([UNUSED] * missing)]
        if self.scores:
            found["tokenizer.ggml.scores"] = [*map(float, self.scores), *([-10000.0] * missing)]
        if self.merges:
            found["tokenizer.ggml.merges"] = list(self.merges)
        if self.charsmap:
            found["tokenizer.ggml.precompiled_charsmap"] = self.charsmap
        for name, number in self.ids.items():
            found[f"tokenizer.ggml.{name}_token_id"] = number
        for name, is_set in self.flags.items():
            found[f"tokenizer.ggml.{name}"] = is_set
        if self.template:
            found["tokenizer.chat_template"] = self.template
        return found

    def _check(self, rows: int) -> None:
        count = len(self.tokens)
        if not rows * _FEWEST <= count <= rows:
            message = f"the tokenizer has {count} tokens and the embeddings have {rows} rows"
            raise ConversionError(
                message, "tokenizer.json belongs to another model; take both from one repository"
            )
        for name, number in self.ids.items():
            if not 0 <= number < rows:
                raise ConversionError(
                    f"the {name} token is number {number} of {rows} rows", "config.json is wrong"
                )
        if len(set(self.tokens)) != count:
            raise ConversionError("two tokens of the tokenizer have the same text")


def unused(number: int) -> str:
    """The text of a row that has no token."""
    return f"[PAD{number}]"
