"""summarization: a shorter text, written by an encoder-decoder model or made of the text's own sentences."""

from __future__ import annotations

from firstlight.runtime.tasks.seq2seq_parameters import schema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firstlight.runtime.types import JSON, BundleFacts, Tokenizer


class Summarization:
    """A shorter text; the bundle decides how it is made."""

    name = "summarization"
    schema: dict[str, JSON] = schema(
        "summary_text",
        "The river rises in the hills north of the town. It passes three mills. It reaches the sea after ninety miles.",
    )

    def __init__(self, bundle: BundleFacts, tokenizer: Tokenizer) -> None:
        way: JSON
        if bundle.defaults.get("pooling"):
            from firstlight.runtime.tasks.extraction import Extract

            way = Extract(bundle, tokenizer, self.schema)
        else:
            from firstlight.runtime.tasks.abstraction import Abstract

            way = Abstract(bundle, tokenizer, self.schema)
        self.check, self.stream, self.last, self.answer = way.check, way.stream, way.last, way.answer
