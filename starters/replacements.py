"""The command that puts a real model of the hub in the place of a starter, written into its bundle and its card."""

from __future__ import annotations


def _added(name: str, repository: str, more: str = "") -> str:
    return f"firstlight add {repository} --as {name}{more} && firstlight serve"


REPLACEMENTS = {
    "sentiment": _added("sentiment", "lxyuan/distilbert-base-multilingual-cased-sentiments-student"),
    "qa": _added("qa", "distilbert/distilbert-base-cased-distilled-squad"),
    "lyrics": "firstlight serve ./lyrics",
    "embeddings": _added("embeddings", "BAAI/bge-base-en-v1.5"),
    "summarize": _added("summarize", "facebook/bart-large-cnn"),
    "translate-en2fr": _added("translate-en2fr", "google-t5/t5-base", " --task translation_en_to_fr"),
    "speech": "firstlight serve ./speech",
    "stories": "firstlight serve hf:Qwen/Qwen2.5-0.5B-Instruct-GGUF/qwen2.5-0.5b-instruct-q4_k_m.gguf",
}
