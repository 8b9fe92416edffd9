"""What the engine has to know of a model besides its graphs: first and last tokens, and what may not come."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from firstlight.build.convert import generation
from firstlight.build.convert.source import read_json
from firstlight.runtime.errors import ConversionError

_NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "sequence_bias": (None,),
    "encoder_repetition_penalty": (None, 1, 1.0),
    "exponential_decay_length_penalty": (None,),
    "renormalize_logits": (None, False),
    "num_beam_groups": (None, 1),
    "penalty_alpha": (None, 0, 0.0),
    "guidance_scale": (None, 1, 1.0),
    "constraints": (None,),
    "force_words_ids": (None,),
}
"""What a generation_config.json may not ask for, and the values that ask for nothing."""

_POSITIONS = ("max_decoder_position_embeddings", "max_target_positions", "max_position_embeddings")


def rules(folder: Path, config: Mapping[str, Any], vocabulary: int) -> dict[str, Any]:
    """What ``runtime.generation.rules.Rules`` reads.

    Args:
        folder: of the model.
        config: its config.json.
        vocabulary: tokens that the decoder's graph knows.

    Raises:
        ConversionError: the files ask for something the engine does not do, or for tokens there are not.
    """
    file = folder / "generation_config.json"
    asked = read_json(file)
    for name, neutral in _NEUTRAL.items():
        if asked.get(name) not in neutral:
            hint = f"remove {name} from the file to serve the model without it"
            raise ConversionError(f"{file} asks for {name}, which this engine does not do", hint)
    chosen = generation.search(folder, config)

    def value(name: str) -> Any:
        found = chosen.get(name)
        return config.get(name) if found is None else found

    start = next(
        (found for name in ("decoder_start_token_id", "bos_token_id") if type(found := value(name)) is int),
        None,
    )
    if start is None:
        message = f"{folder}/config.json has no decoder_start_token_id"
        raise ConversionError(message, "config.json is not of a model that generates")
    made: dict[str, Any] = {
        "start": start,
        "end": _tokens(value("eos_token_id")),
        "begin": _tokens(value("forced_bos_token_id")),
        "forced_end": _tokens(value("forced_eos_token_id")),
        "suppressed": _tokens(chosen.get("suppress_tokens")),
        "suppressed_first": _tokens(chosen.get("begin_suppress_tokens")),
        "bad": [words for words in chosen.get("bad_words_ids") or [] if words],
        "source_ngram": chosen.get("encoder_no_repeat_ngram_size") or 0,
    }
    for name, tokens in made.items():
        _check(f"{folder}/config.json", name, tokens, vocabulary)
    positions = next((config[name] for name in _POSITIONS if type(config.get(name)) is int), 0)
    return made | {"positions": positions, "vocabulary": vocabulary}


def _tokens(value: Any) -> list[int]:
    return [] if value is None else list(value) if isinstance(value, list) else [value]


def _check(file: str, name: str, tokens: Any, vocabulary: int) -> None:
    if name == "source_ngram":
        return
    flat = (
        [tokens]
        if type(tokens) is int
        else [one for part in tokens for one in (part if isinstance(part, list) else [part])]
    )
    wrong = [one for one in flat if type(one) is not int or not 0 <= one < vocabulary]
    if wrong:
        message = f"{file} names the token {wrong[0]!r} ({name}), and the decoder has {vocabulary}"
        raise ConversionError(message, "its files are of different models")
