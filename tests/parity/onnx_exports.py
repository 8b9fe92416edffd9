"""Encoder-decoder models of transformers as ONNX repositories, in the files and names of optimum."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
import transformers
from onnx import helper
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

_PARTS = [(side, part) for side in ("decoder", "encoder") for part in ("key", "value")]


class _Encoder(torch.nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.inner = model.get_encoder()

    def forward(self, input_ids: Any, attention_mask: Any) -> Any:
        return self.inner(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


class _Decoder(torch.nn.Module):
    """A step of the decoder; its cache comes and goes as a flat list."""

    def __init__(self, model: Any, past: bool) -> None:
        super().__init__()
        self.model = model
        self.past = past

    def forward(self, encoder_attention_mask: Any, input_ids: Any, *rest: Any) -> Any:
        states, past = (None, rest) if self.past else (rest[0], ())
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        for layer in range(len(past) // 4):
            own, cross = past[4 * layer : 4 * layer + 2], past[4 * layer + 2 : 4 * layer + 4]
            cache.self_attention_cache.update(*own, layer)
            cache.cross_attention_cache.update(*cross, layer)
            cache.is_updated[layer] = True
        if states is None:
            states = torch.zeros(len(input_ids), encoder_attention_mask.shape[1], self.model.config.d_model)
        found = self.model(
            attention_mask=encoder_attention_mask,
            decoder_input_ids=input_ids,
            encoder_outputs=transformers.modeling_outputs.BaseModelOutput(last_hidden_state=states),
            past_key_values=cache,
            use_cache=True,
        )
        values = [found.logits]
        for own, cross in zip(
            found.past_key_values.self_attention_cache.layers,
            found.past_key_values.cross_attention_cache.layers,
            strict=True,
        ):
            values += [own.keys, own.values]
            if not self.past:
                values += [cross.keys, cross.values]
        return tuple(values)


def repository(folder: Path, out: Path, merge: bool = True) -> None:
    """Write ``out/onnx/*.onnx`` and the small files of a model folder.

    Args:
        merge: one decoder with a switch, as optimum has it; otherwise two.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder, attn_implementation="eager").eval()
    (out / "onnx").mkdir(parents=True)
    for file in folder.iterdir():
        if file.suffix in (".json", ".txt", ".model", ".spm"):
            shutil.copyfile(file, out / file.name)
    _export(out, model, "encoder_model")
    layers = (
        model.config.decoder_layers
        if hasattr(model.config, "decoder_layers")
        else model.config.num_decoder_layers
    )
    _export(out, model, "decoder_model", layers)
    _export(out, model, "decoder_with_past_model", layers)
    if merge:
        _merge(out / "onnx")


def _export(out: Path, model: Any, name: str, layers: int = 0) -> None:
    rows, source, tokens, before = 2, 5, 3, 4
    config = model.config
    heads = getattr(config, "decoder_attention_heads", None) or config.num_heads
    width = getattr(config, "d_kv", None) or config.d_model // heads
    ids, mask = torch.full((rows, source), 5), torch.ones(rows, source, dtype=torch.int64)
    if name == "encoder_model":
        module, inputs, names = _Encoder(model), (ids, mask), ["input_ids", "attention_mask"]
        outputs = ["last_hidden_state"]
    else:
        past = name == "decoder_with_past_model"
        module = _Decoder(model, past)
        names, outputs = ["encoder_attention_mask", "input_ids"], ["logits"]
        cache = [f"{layer}.{side}.{part}" for layer in range(layers) for side, part in _PARTS]
        if past:
            sizes = {"decoder": before, "encoder": source}
            values = [torch.randn(rows, heads, sizes[entry.split(".")[1]], width) for entry in cache]
            inputs = (mask, torch.full((rows, 1), 6), *values)
            names += [f"past_key_values.{entry}" for entry in cache]
            cache = [entry for entry in cache if "decoder" in entry]
        else:
            inputs = (mask, torch.full((rows, tokens), 6), torch.randn(rows, source, config.d_model))
            names.append("encoder_hidden_states")
        outputs += [f"present.{entry}" for entry in cache]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            inputs,
            str(out / "onnx" / f"{name}.onnx"),
            dynamo=False,
            opset_version=17,
            input_names=names,
            output_names=outputs,
            dynamic_axes={one: _axes(one) for one in (*names, *outputs)},
        )


def _axes(name: str) -> dict[int, str]:
    if name.startswith(("past_key_values", "present")):
        return {0: "batch", 2: "source" if ".encoder." in name else "past"}
    if name in ("input_ids", "logits"):
        return {0: "batch", 1: "tokens"}
    return {0: "batch", 1: "source"}


def _merge(folder: Path) -> None:
    """One decoder of two, behind ``use_cache_branch``."""
    first, after = (
        onnx.load(folder / f"{name}.onnx") for name in ("decoder_model", "decoder_with_past_model")
    )
    names = [value.name for value in first.graph.output]
    given = {value.name for value in after.graph.output}
    for name in names:
        if name not in given:
            passed = name.replace("present", "past_key_values")
            after.graph.node.append(helper.make_node("Identity", [passed], [name]))
    constants, branches = [], {}
    for branch, model in (("then_branch", after), ("else_branch", first)):
        for tensor in model.graph.initializer:
            _rename(model.graph, tensor.name, f"{branch}.{tensor.name}")
        constants += model.graph.initializer
        outputs = [helper.make_empty_tensor_value_info(name) for name in names]
        branches[branch] = helper.make_graph(list(model.graph.node), branch, [], outputs)
    inputs = {value.name: value for model in (first, after) for value in model.graph.input}
    flag = helper.make_tensor_value_info("use_cache_branch", onnx.TensorProto.BOOL, [1])
    node = helper.make_node("If", ["use_cache_branch"], names, **branches)
    graph = helper.make_graph([node], "merged", [*inputs.values(), flag], list(first.graph.output), constants)
    merged = helper.make_model(graph, opset_imports=first.opset_import, ir_version=9)
    onnx.save(merged, folder / "decoder_model_merged.onnx")
    for name in ("decoder_model", "decoder_with_past_model"):
        (folder / f"{name}.onnx").unlink()


def _rename(graph: Any, old: str, new: str) -> None:
    for tensor in graph.initializer:
        tensor.name = new if tensor.name == old else tensor.name
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _rename(attribute.g, old, new)
