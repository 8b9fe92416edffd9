"""Which architectures are turned into bundles, and by what: the one table that all others are made of.

``model_type`` and ``architectures`` are those of config.json; the name of an architecture is a family's and a head's,
such as ``Bert`` and ``ForSequenceClassification`` (``transformers.models``, 4.57). A converter is ``module:function``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ENCODER = "firstlight.build.convert.encoder:convert"
SEQUENCES = "firstlight.build.convert.ct2:convert"
DECODER = "firstlight.build.gguf.folder:convert"
APART = "firstlight.build.convert.apart:convert"
"""With torch, in an environment that firstlight makes and keeps."""

GRAPH = "firstlight.build.convert.ready:convert"
GRAPHS = "firstlight.build.convert.onnx_seq2seq:convert"
CTRANSLATE2_FILES = "firstlight.build.convert.ct2.ready:convert"
GGUF_FILE = "firstlight.build.gguf.file:convert_and_try"
GGML_FILE = "firstlight.build.gguf.old_file:convert"

HEADS = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForMaskedLM": "fill-mask",
    "Model": "feature-extraction",
}
"""The task each head of an encoder is made for."""

SAME_HEAD = {
    "zero-shot-classification": "text-classification",
    "sentence-similarity": "feature-extraction",
}
"""Tasks that another task's head serves."""

ENCODERS = {
    "bert": "Bert",
    "distilbert": "DistilBert",
    "roberta": "Roberta",
    "xlm-roberta": "XLMRoberta",
    "camembert": "Camembert",
    "mpnet": "MPNet",
    "electra": "Electra",
    "albert": "Albert",
    "deberta-v2": "DebertaV2",
    "ernie": "Ernie",
    "data2vec-text": "Data2VecText",
    "roberta-prelayernorm": "RobertaPreLayerNorm",
}
"""``model_type`` of encoders that are converted without torch, and what their architectures' names begin with."""

ENCODER_DECODERS = {
    "bart": "BartForConditionalGeneration",
    "mbart": "MBartForConditionalGeneration",
    "marian": "MarianMTModel",
    "m2m_100": "M2M100ForConditionalGeneration",
    "pegasus": "PegasusForConditionalGeneration",
    "t5": "T5ForConditionalGeneration",
    "mt5": "MT5ForConditionalGeneration",
}
"""``model_type`` of encoder-decoders that become CTranslate2 bundles without torch, and their architecture."""

DECODERS = (
    "LlamaForCausalLM",
    "MistralForCausalLM",
    "Qwen2ForCausalLM",
    "Qwen3ForCausalLM",
    "GPTNeoXForCausalLM",
    "GPT2LMHeadModel",
)
"""Language models that become GGUF files without torch."""

DECODERS_INT8 = (
    "LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "GPTNeoXForCausalLM", "GPT2LMHeadModel",
)  # fmt: skip
"""Those of them that ``quantize = "int8"`` makes CTranslate2 bundles of."""

WITH_TORCH = (
    "bart", "convbert", "deberta", "esm", "flaubert", "ibert", "mbart", "megatron-bert", "mobilebert",
    "modernbert", "mt5", "rembert", "roformer", "squeezebert", "t5", "umt5", "xlm", "xlm-roberta-xl",
    "xlnet", "xmod", "yoso",
)  # fmt: skip
"""``model_type`` of further encoders of text, which torch exports with any head of ``HEADS``."""

_PLAIN = {"bart": None, "mbart": None, "t5": "EncoderModel", "mt5": "EncoderModel", "umt5": "EncoderModel"}
"""The ending of the architecture without a head where ``Model`` is an encoder and a decoder; None where none is."""


@dataclass(frozen=True, slots=True)
class Found:
    """What takes a model.

    Attributes:
        architecture: the one of config.json that decided.
        head: the task the weights have a head for; None where config.json leaves it open (encoder-decoders).
        converter: ``module:function``.
        engine: that of the bundle.
    """

    architecture: str
    head: str | None
    converter: str
    engine: str


def of(config: Mapping[str, Any], precision: str | None = None, head: str | None = None) -> Found | None:
    """What takes the model of a config.json; None where nothing does.

    Args:
        precision: the one asked for; ``int8`` makes another engine's bundle of language models.
        head: the task whose head is asked for. Every encoder has hidden states, whatever its architecture is called,
            and one without a name of its architecture is taken at the user's word.
    """
    kind = str(config.get("model_type", "")).lower()
    listed, own_code = names(config), bool(config.get("auto_map"))
    for name in listed:
        found = _native(name, kind, precision) or _with_torch(name, kind, own_code)
        if found is not None:
            return found
    named = kind in ENCODERS and all(name.startswith(ENCODERS[kind]) for name in listed)
    if named and head in HEADS.values() and (head == "feature-extraction" or not listed):
        return Found(listed[0] if listed else ENCODERS[kind], head, ENCODER, "onnx")
    return None


def names(config: Mapping[str, Any]) -> list[str]:
    """``architectures`` of a config.json, which some have as one word."""
    listed = config.get("architectures")
    return [str(name) for name in (listed if isinstance(listed, list) else [listed]) if name]


def supported() -> dict[str, list[str]]:
    """Everything that is taken, by how: for error messages, the documentation and whoever decides by architecture.

    Returns:
        ``without torch`` (architectures; of encoders families, which have every head of ``HEADS``) and ``with torch``
        (``model_type`` of further encoders).
    """
    native = [*ENCODERS.values(), *ENCODER_DECODERS.values(), *DECODERS]
    return {"without torch": native, "with torch": list(WITH_TORCH)}


def _native(name: str, kind: str, precision: str | None) -> Found | None:
    if name in DECODERS:
        if precision == "int8" and name in DECODERS_INT8:
            return Found(name, "text-generation", SEQUENCES, "ctranslate2")
        return Found(name, "text-generation", DECODER, "llama")
    if ENCODER_DECODERS.get(kind) == name:
        return Found(name, None, SEQUENCES, "ctranslate2")
    family = ENCODERS.get(kind)
    head = HEADS.get(name.removeprefix(family)) if family else None
    return Found(name, head, ENCODER, "onnx") if head else None


def _with_torch(name: str, kind: str, own_code: bool) -> Found | None:
    """Encoders of text; models that bring code of their own are taken at their word about their head."""
    if kind not in WITH_TORCH and not own_code:
        return None
    endings = {**HEADS, _PLAIN[kind] or "-": HEADS["Model"]} if kind in _PLAIN else HEADS
    for ending, head in endings.items():
        if name.endswith(ending) and not (kind in _PLAIN and ending == "Model"):
            return Found(name, head, APART, "onnx")
    return None
