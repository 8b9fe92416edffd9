"""``firstlight invoke --remote``: one invocation of a function that is deployed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from firstlight.cli import account, answers, output, streamed, wiring
from firstlight.cli.client import FunctionFailed

if TYPE_CHECKING:
    from firstlight.deploy.remote import Caller


def caller(stage: str | None, region: str | None, profile: str | None, timeout: float) -> Caller:
    """What calls the functions of the project here.

    Args:
        timeout: seconds to wait for an answer.
    """
    from firstlight.deploy.remote import Caller

    project = wiring.project_here(stage)
    session = account.session(project, region, profile)
    return Caller(session, account.names(project), timeout, waiting=output.note)


def show(
    calling: Caller,
    name: str,
    event: bytes,
    qualifier: str | None,
    *,
    tail: bool,
    stream: bool,
    later: bool,
    as_json: bool,
) -> None:
    """Invoke endpoint ``name`` and print its answer, its answer as it comes, or the id of the request.

    Args:
        event: JSON.
        qualifier: a version or an alias; None for ``live``.
    """
    if later:
        answers.show_id(name, calling.hand_in(name, event, qualifier=qualifier), as_json)
    elif stream:
        streamed.show(_pieces(calling, name, streamed.asking(event), qualifier), as_json)
    else:
        answer = calling.answer(name, event, tail=tail or as_json, qualifier=qualifier)
        answers.show(name, answer, tail, as_json)


def _pieces(calling: Caller, name: str, event: bytes, qualifier: str | None) -> Iterator[bytes]:
    from firstlight.deploy import remote

    try:
        yield from calling.pieces(name, event, qualifier=qualifier)
    except remote.FunctionFailed as error:
        raise FunctionFailed(error.payload) from error
