"""From a model to ``handler(event, context)``."""

from __future__ import annotations

from firstlight.runtime import notes, request, streaming, triggers
from firstlight.runtime.errors import FirstlightError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firstlight.runtime.types import JSON


class ModelHandler:
    """Answers every event in the shape of its trigger.

    Args:
        model: ``model(inputs, parameters)``, with ``task=`` where a request names one; ``model.stream`` of the same
            arguments where a request wants events; its ``settle()``, if it has one, is called at most once.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._settled = False

    def __call__(self, event: JSON, context: Any) -> JSON:  # noqa: ARG002 - Lambda's signature
        """The answer to one event.

        Raises:
            FirstlightError: where the trigger has no shape of its own for errors.
        """
        notes.clear()
        shape = triggers.shape(event)
        if shape.ping:
            self.settle()
            return {"warm": True}
        try:
            asked = request.read(shape.payload(getattr(self.model, "takes", ())))
            other = {"task": asked.task} if asked.task else {}
            if asked.stream or shape.wants_stream():
                events = self.model.stream(asked.inputs, asked.parameters, **other)
                return shape.reply_stream(streaming.Events(events))
            return shape.reply(asked.answer(self.model(asked.inputs, asked.parameters, **other)))
        except FirstlightError as error:
            return shape.fail(error)

    def settle(self) -> None:
        """Use idle time to become faster, the first time it is called."""
        settle = getattr(self.model, "settle", None)
        if settle is not None and not self._settled:
            self._settled = True
            settle()


def make(model: Any) -> ModelHandler:
    """The handler of a model."""
    return ModelHandler(model)
