"""What lies in a repository or folder, and what its small files say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from firstlight.build.types import Card, Wish
from firstlight.runtime.errors import ConversionError

_COMPANIONS = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "bpe.codes", "dict.txt", "*.model", "*.spm",
    "chat_template.jinja", "chat_template.json", "modules.json", "sentence_bert_config.json",
    "config_sentence_transformers.json", "README.md",
)  # fmt: skip
_MODULES = "[0-9]_*/config.json"
_TOKENIZERS = ("tokenizer.json", "vocab.txt", "*.model", "*.spm")
_HALF = re.compile(r"[._-](fp16|bf16|half)[._-]")
_FLOATS = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True)
class Contents:
    """The files of a repository or folder, and what was asked of it.

    Attributes:
        files: path -> bytes.
        read: the content of a small file, None where there is none of that name.
        card: what its README.md says.
    """

    files: Mapping[str, int]
    read: Callable[[str], bytes | None]
    card: Card
    wish: Wish
    _known: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def called(self) -> str:
        """The model as an error names it."""
        return self.wish.model.removeprefix("hf:")

    @property
    def config(self) -> dict[str, Any]:
        """config.json; empty where there is none."""
        return self.json("config.json")

    def json(self, path: str) -> dict[str, Any]:
        """A JSON object of the repository; empty where it has no such file.

        Raises:
            ConversionError: the file is not a JSON object.
        """
        if path not in self._known:
            content = self.read(path) if path in self.files else None
            try:
                found = {} if content is None else json.loads(content)
            except (ValueError, RecursionError) as error:
                raise ConversionError(f"{path} of {self.called} is not JSON: {error}") from error
            if not isinstance(found, dict):
                raise ConversionError(f"{path} of {self.called} does not hold a JSON object")
            self._known[path] = found
        return self._known[path]

    def modules(self) -> list[str] | None:
        """The kinds of modules sentence-transformers makes of it, such as ``Pooling``; None where it is none of its."""
        content = self.read("modules.json") if "modules.json" in self.files else None
        try:
            return content and [str(one["type"]).rpartition(".")[2] for one in json.loads(content)]  # type: ignore[return-value]
        except (ValueError, TypeError, KeyError) as error:
            raise ConversionError(f"modules.json of {self.called} does not list modules: {error}") from error

    def matching(self, *patterns: str) -> list[str]:
        """Paths that match one of the patterns, in order; a pattern without ``/`` is for the top folder."""
        return sorted(path for path in self.files if any(_matches(path, pattern) for pattern in patterns))

    def companions(self) -> list[str]:
        """Configuration, tokenizer and card: what every conversion may read beside the weights."""
        return self.matching(*_COMPANIONS, _MODULES)

    def has_tokenizer(self) -> bool:
        """Whether there is a tokenizer in some form that can be read."""
        return bool(self.matching(*_TOKENIZERS)) or bool(
            self.matching("vocab.json") and self.matching("merges.txt")
        )

    def size(self, paths: Iterable[str]) -> int:
        """Bytes of these files together."""
        return sum(self.files[path] for path in set(paths))

    def width(self, file: str) -> int:
        """Bytes a weight has in a checkpoint, by its name or what config.json says."""
        if _HALF.search(file):
            return 2
        named = str(self.config.get("torch_dtype") or self.config.get("dtype") or "float32")
        return _FLOATS.get(named.removeprefix("torch."), 4)


def _matches(path: str, pattern: str) -> bool:
    return fnmatchcase(path, pattern) and path.count("/") == pattern.count("/")
