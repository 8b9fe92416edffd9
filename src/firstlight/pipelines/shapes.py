"""Where the shape of an encoder task's answer in transformers differs from ours.

Each function takes the pipeline, the inputs, the parameters of the call, and all parameters.
"""

from __future__ import annotations

import warnings

from firstlight.runtime.errors import NotSupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firstlight.pipelines import Pipeline
    from firstlight.runtime.types import JSON


def classified(pipe: Pipeline, given: JSON, parameters: dict[str, Any], merged: dict[str, Any]) -> JSON:
    """``top_k`` set when the pipeline was made wraps the answer to a string once more; so does return_all_scores."""
    everything = merged.pop("return_all_scores", None)
    if everything is not None and "top_k" not in merged:
        warnings.warn("return_all_scores is deprecated, use top_k=None", UserWarning, stacklevel=4)
        merged["top_k"] = None if everything else 1
    answer = pipe.model(given, merged)
    if everything and merged["top_k"] is None:
        for labels in [answer] if isinstance(given, (str, dict)) else answer:
            labels.sort(key=lambda entry: pipe.model.bundle.labels.index(entry["label"]))
    wrapped = isinstance(given, str) and "top_k" in merged and "top_k" not in parameters
    return [answer] if wrapped else answer


def answered(pipe: Pipeline, given: JSON, _: dict[str, Any], merged: dict[str, Any]) -> JSON:
    """One question in a list is answered as one question."""
    if "topk" in merged:
        warnings.warn("topk is deprecated, use top_k", UserWarning, stacklevel=4)
        merged.setdefault("top_k", merged.pop("topk"))
    answer = pipe.model(given, merged)
    several = isinstance(given, list) or isinstance(given.get("question"), list)
    return answer[0] if several and len(answer) == 1 else answer


def filled(pipe: Pipeline, given: JSON, _: dict[str, Any], merged: dict[str, Any]) -> JSON:
    """One text in a list is answered as one text; longer texts are always cut, as tokenizer_kwargs would ask for."""
    merged.pop("tokenizer_kwargs", None)
    answer = pipe.model(given, merged)
    return answer[0] if isinstance(given, list) and len(given) == 1 else answer


def extracted(pipe: Pipeline, given: JSON, _: dict[str, Any], merged: dict[str, Any]) -> JSON:
    """Lists only: there are no tensors to return."""
    if merged.pop("return_tensors", None):
        raise NotSupported(
            "pipeline has no tensors to return", "leave return_tensors out: the answer is a list"
        )
    merged = dict(merged.pop("tokenize_kwargs", None) or {}) | merged
    return pipe.model(given, merged)
