"""The engine llama writes what ``transformers.generate`` writes with the same float32 weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gguf_files
import numpy as np
import pytest
import torch
import transformers

from firstlight.runtime import engines
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.deadline import NEVER
from firstlight.runtime.engines.llama import candidates
from firstlight.runtime.generation.wishes import Sampling
from parity import gguf_models

MODELS: dict[str, Callable[[int], Any]] = {
    "neox": gguf_models.neox,
    "neox-one-after-the-other": lambda seed: gguf_models.neox(seed, parallel=False),
    "llama": gguf_models.llama,
}
LENGTH = 48

# How far logits may be apart: GPT-NeoX' activation is read from a table of float16 values in ggml.
TOLERANCE = {transformers.LlamaForCausalLM: 1e-4, transformers.GPTNeoXForCausalLM: 0.02}


@pytest.fixture(scope="module", params=MODELS)
def sides(request: Any, tmp_path_factory: Any) -> list[tuple[Any, Any]]:
    """Models of several seeds, and engines of the same weights."""
    found = []
    for seed in range(3):
        model = MODELS[request.param](seed)
        folder = gguf_files.bundle(tmp_path_factory.mktemp(request.param), gguf_models.content(model))
        found.append((model, engines.load(Bundle.open(folder))))
    return found


def prompts(seed: int) -> list[list[int]]:
    numbers = np.random.default_rng(seed)
    return [numbers.integers(2, gguf_models.TOKENS, length).tolist() for length in (1, 5, 17, 60)]


def theirs(model: Any, prompt: list[int], **settings: Any) -> tuple[list[int], list[float]]:
    """The tokens, and at each place by how much the likeliest one leads."""
    with torch.no_grad():
        found = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=LENGTH,
            pad_token_id=0,
            do_sample=False,
            output_scores=True,
            return_dict_in_generate=True,
            **settings,
        )
    leads = [float(first - second) for first, second in (scores[0].topk(2).values for scores in found.scores)]
    return [int(token) for token in found.sequences[0, len(prompt) :]], leads


def ours(engine: Any, prompt: list[int], **wishes: Any) -> list[int]:
    return [token.id for token in engine.generate(prompt, Sampling(max_tokens=LENGTH, **wishes), NEVER)]


@pytest.mark.parametrize(
    "settings",
    [{}, {"repetition_penalty": 1.3}, {"repetition_penalty": 0.9}, {"min_new_tokens": 40}],
    ids=str,
)
def test_greedy(sides: Any, settings: dict[str, Any]) -> None:
    """Token for token, up to a place where two tokens are as good as equally likely."""
    wishes = {name.replace("min_new_tokens", "min_tokens"): value for name, value in settings.items()}
    ties = 0
    for seed, (model, engine) in enumerate(sides):
        for prompt in prompts(seed):
            found, (expected, leads) = ours(engine, prompt, **wishes), theirs(model, prompt, **settings)
            if found != expected:
                pairs = zip(found, expected, strict=False)
                place = next(place for place, (one, other) in enumerate(pairs) if one != other)
                assert leads[place] < TOLERANCE[type(model)], (place, leads[place])
                ties += 1
    assert ties <= 1


def test_logits(sides: Any) -> None:
    for seed, (model, engine) in enumerate(sides):
        for prompt in prompts(seed):
            with torch.no_grad():
                expected = model(torch.tensor([prompt])).logits[0, -1].numpy()
            engine._memory.read(list(prompt), len(prompt), NEVER)
            found = np.array(
                candidates.logits(engine._library, engine._memory.context, engine._weights.count)
            )
            assert np.abs(found - expected).max() < TOLERANCE[type(model)]


def test_logprobs(sides: Any) -> None:
    for seed, (model, engine) in enumerate(sides):
        [prompt, *_] = prompts(seed)
        [token] = engine.generate(prompt, Sampling(max_tokens=1, logprobs=5), NEVER)
        with torch.no_grad():
            expected = torch.log_softmax(model(torch.tensor([prompt])).logits[0, -1], -1)
        assert token.logprob == pytest.approx(float(expected[token.id]), abs=0.02)
        assert [other for other, _ in token.top] == expected.topk(5).indices.tolist()
