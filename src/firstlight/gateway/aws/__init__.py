"""The gateway as two functions of AWS Lambda: ``handler`` answers HTTP, ``jobs`` works off the queue.

Each is made when it is first asked for, which is in the init of the function that has it as its handler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firstlight.gateway.aws.answering import Answering
    from firstlight.gateway.aws.working import Working

    handler: Answering
    jobs: Working

__all__ = ["handler", "jobs"]


def __getattr__(name: str) -> object:
    made: object
    if name == "handler":
        from firstlight.gateway.aws.composition import answering

        made = answering()
    elif name == "jobs":
        from firstlight.gateway.aws.composition import working

        made = working()
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = made
    return made
