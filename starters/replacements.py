"""The command that puts a real model of the hub in the place of a starter, written into its bundle and its card.

A model folder is downloaded under the starter's own name, and so is served under it. The files are named one by one:
what ``--include`` takes differs between versions of ``hf``.
"""

from __future__ import annotations

_MODEL = "config.json model.safetensors tokenizer.json README.md"
_WRITER = f"{_MODEL} generation_config.json"
_ENCODER = f"{_MODEL} modules.json sentence_bert_config.json 1_Pooling/config.json"


def _folder(name: str, repository: str, files: str = _MODEL) -> str:
    return f"hf download {repository} {files} --local-dir {name} && firstlight serve ./{name}"


REPLACEMENTS = {
    "sentiment": _folder("sentiment", "lxyuan/distilbert-base-multilingual-cased-sentiments-student"),
    "qa": _folder("qa", "distilbert/distilbert-base-cased-distilled-squad"),
    "lyrics": "firstlight serve ./lyrics",
    "embeddings": _folder("embeddings", "BAAI/bge-base-en-v1.5", _ENCODER),
    "summarize": _folder("summarize", "facebook/bart-large-cnn", _WRITER),
    "translate-en2fr": _folder("translate-en2fr", "google-t5/t5-base", _WRITER),
    "speech": "firstlight serve ./speech",
    "stories": "firstlight serve hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q4_k_m.gguf",
}
