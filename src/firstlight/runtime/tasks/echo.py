"""The fake task: answers with its inputs. With the echo engine a bundle is ``bundle.json`` and nothing else."""

from __future__ import annotations

from firstlight.runtime.tasks.windows import Prepared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firstlight.runtime.types import JSON


class Echo:
    """Takes anything, gives it back, and runs no graph."""

    name = "echo"
    outputs: tuple[str, ...] = ()
    schema: JSON = {  # noqa: RUF012 - written once
        "inputs": {"description": "anything"},
        "parameters": {"type": "object", "properties": {}},
        "output": {"description": "the inputs"},
        "example": {"inputs": "what a lovely day"},
    }

    def __init__(self, *_: object) -> None:
        pass

    def check(self, inputs: JSON, parameters: JSON) -> tuple[list[JSON], bool, dict[str, JSON]]:
        """One item, whatever the inputs are."""
        return [inputs], True, dict(parameters or {})

    def preprocess(self, item: JSON, parameters: JSON) -> Prepared:  # noqa: ARG002
        """Nothing to run."""
        return Prepared([], (), item)

    def postprocess(self, prepared: Prepared, outputs: JSON) -> JSON:  # noqa: ARG002
        """The item itself."""
        return prepared.state
