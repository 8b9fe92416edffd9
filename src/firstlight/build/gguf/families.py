"""Decoder-only architectures: where config.json and the weights of each keep what a GGUF file has under its own names.

Names of the metadata and tensors: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and llama.cpp's
``llama-arch.cpp``. Layouts of the weights: transformers' ``modeling_*.py`` of each architecture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from firstlight.build.gguf import gpt2, llama, neox
from firstlight.build.gguf.model import Plan, Tensors
from firstlight.runtime.errors import ConversionError


@dataclass(frozen=True, slots=True)
class Family:
    """Models that are converted alike.

    Attributes:
        architecture: GGUF's name.
        plan: of a config.json and the weights, the metadata and tensors of the file.
    """

    architecture: str
    plan: Callable[[str, Mapping[str, Any], Tensors], Plan]


FAMILIES = {
    "LlamaForCausalLM": Family("llama", llama.plan),
    "MistralForCausalLM": Family("llama", llama.plan),
    "Qwen2ForCausalLM": Family("qwen2", llama.plan),
    "Qwen3ForCausalLM": Family("qwen3", llama.plan),
    "GPTNeoXForCausalLM": Family("gptneox", neox.plan),
    "GPT2LMHeadModel": Family("gpt2", gpt2.plan),
}
"""By the name config.json has under ``architectures``."""


def of(config: Mapping[str, Any]) -> Family:
    """The family of a config.json.

    Raises:
        ConversionError: none that is converted here.
    """
    names = config.get("architectures")
    for name in names if isinstance(names, list) else [names]:
        if name in FAMILIES:
            return FAMILIES[name]
    hint = f"language models that can be converted: {', '.join(FAMILIES)}; others may be on the hub as GGUF files"
    raise ConversionError(f"config.json: architectures {names!r} are not converted here", hint)
