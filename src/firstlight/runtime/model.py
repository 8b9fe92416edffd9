"""A model: a task and an engine over one bundle."""

from __future__ import annotations

from time import perf_counter_ns

from firstlight.runtime import deadline, engines, notes, tasks, tokenizers
from firstlight.runtime.bundle import Bundle
from firstlight.runtime.errors import InvalidInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from typing import Any

    from firstlight.runtime.types import JSON


class Model:
    """Inputs and parameters in, the answer out.

    Attributes:
        bundle: where the weights come from.
        task: validates, prepares and reads what the engine runs.
        engine: runs the weights.
    """

    def __init__(self, bundle: Bundle, task: Any, engine: Any, tokenizer: Any = None) -> None:
        self.bundle = bundle
        self.task = task
        self.engine = engine
        self._tokenizer = tokenizer
        self._others: dict[str, Any] = {task.name: task}

    @classmethod
    def load(cls, path: str | os.PathLike[str], verify: str = "first", task: str | None = None) -> Model:
        """Open a bundle and load what it names.

        Args:
            path: a bundle folder.
            verify: see ``Bundle.open``.
            task: serve another task than the bundle's own, such as zero-shot-classification of a sentence encoder.

        Raises:
            BundleError: the folder is not a bundle or its files are not what it says.
            EngineError, MissingExtra: the engine cannot load the weights.
        """
        bundle = Bundle.open(path, verify)
        tokenizer = tokenizers.load(bundle)
        doing = tasks.load(tasks.choose(task, bundle), bundle, tokenizer)
        return cls(bundle, doing, engines.load(bundle), tokenizer)  # last: its library may still be loading

    def __call__(
        self, inputs: JSON, parameters: dict[str, Any] | None = None, task: str | None = None
    ) -> JSON:
        """Answer inputs: a list for a list of inputs, one answer for a single one.

        Args:
            inputs: what the task takes.
            parameters: the task's parameters by name.
            task: another task than the model's own that its weights serve.

        Rows run through the engine one at a time: an answer must not depend on the batch it rides in. The times of
        the three parts go to the notes.

        Raises:
            InvalidInput: naming the field that is wrong.
            EngineError: the engine refuses the run.
        """
        start = perf_counter_ns()
        doing, given = self._asked(task, parameters)
        items, single, checked = doing.check(inputs, given)
        answers = []
        for item in items:
            answer, start = self._answer(doing, item, checked, start)
            answers.append(answer)
        return answers[0] if single else answers

    def stream(
        self, inputs: JSON, parameters: dict[str, Any] | None = None, task: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Answer one input piece by piece, by the events of ``runtime.types.GeneratingTask``.

        Closing the iterator ends the engine's work.

        Raises:
            InvalidInput: naming the field that is wrong; a list of inputs; a task that answers at once.
            EngineError: the engine refuses the run.
        """
        start = perf_counter_ns()
        doing, given = self._asked(task, parameters)
        if not hasattr(doing, "stream"):
            raise InvalidInput(f"{doing.name} answers at once and does not stream", 'leave "stream" out')
        items, single, checked = doing.check(inputs, given)
        if not single:
            raise InvalidInput("a list of inputs is answered together and does not stream", "send one input")
        yield from doing.stream(self.engine, items[0], checked, deadline.current())
        notes.since("engine", start)

    @property
    def takes(self) -> tuple[str, ...]:
        """Beginnings of the media types whose bytes are inputs as they are; empty for tasks of text."""
        return getattr(self.task, "takes", ())

    def settle(self) -> None:
        """Use idle time to become faster; called between invocations."""
        self.engine.settle()

    def _asked(self, task: str | None, parameters: dict[str, Any] | None) -> tuple[Any, dict[str, Any]]:
        """The task of a request, and its parameters with those that the task's name stands for."""
        if task is None:
            return self.task, parameters or {}
        return self._other(task), tasks.implied(task) | (parameters or {})

    def _other(self, name: str) -> Any:
        chosen = tasks.choose(name, self.bundle)
        if chosen not in self._others:
            self._others[chosen] = tasks.load(chosen, self.bundle, self._tokenizer)
        return self._others[chosen]

    def _answer(self, task: Any, item: Any, parameters: dict[str, Any], start: int) -> tuple[JSON, int]:
        if hasattr(task, "stream"):
            last = getattr(task, "last", None)
            if last is None:
                events = list(task.stream(self.engine, item, parameters, deadline.current()))
            else:
                events = [last(self.engine, item, parameters, deadline.current())]
            start = notes.since("engine", start)
            answer = task.answer(item, events, parameters)
            return answer, notes.since("postprocess", start)
        if hasattr(task, "drive"):
            answer = task.drive(self.engine, item, parameters)
            return answer, notes.since("engine", start)
        prepared = task.preprocess(item, parameters)
        start = notes.since("preprocess", start)
        known, run = self.engine.inputs, self.engine.run
        outputs = [
            run({name: rows for name, rows in feeds.items() if name in known}, prepared.outputs)
            for feeds in prepared.feeds
        ]
        start = notes.since("engine", start)
        answer = task.postprocess(prepared, outputs)
        return answer, notes.since("postprocess", start)
