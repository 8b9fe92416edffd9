"""``--strict``: workers within the walls of AWS Lambda's sandbox, and what of it this machine enforces."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from firstlight import isolation
from firstlight.cli import output, preparing, printing
from firstlight.invoke.walled import walled

if TYPE_CHECKING:
    from firstlight.cli.preparing import Prepared, Say
    from firstlight.invoke.types import Reply
    from firstlight.project import Endpoint, Project


def prepare(project: Project, say: Say = lambda _: None) -> Prepared:
    """As ``preparing.prepare``, with walls around every worker."""
    prepared = preparing.prepare(project, say)
    return replace(prepared, specs={name: walled(spec) for name, spec in prepared.specs.items()})


def say() -> None:
    """Say which walls stand, and warn of those that cannot."""
    machine = isolation.support().of(isolation.LAMBDA)
    output.note(f"strict: {machine.sentence()}")
    for text in machine.warnings():
        output.warn(text)


def facts() -> dict[str, Any]:
    """Which walls stand, for programs."""
    machine = isolation.support().of(isolation.LAMBDA)
    missing = {name: machine.missing[name] for name in machine.asked if name in machine.missing}
    return {"how": machine.how, "enforced": list(machine.enforced), "missing": missing}


def show(reply: Reply, name: str, as_json: bool) -> None:
    """Print the answer of an endpoint; what its function raised ends the verb with exit code 1."""
    payload = _parsed(reply.payload)
    if as_json:
        failed = {"functionError": reply.function_error} if reply.function_error else {}
        warnings = reply.report.warnings
        output.json_line({"endpoint": name, "payload": payload, "warnings": warnings, **failed})
    elif not reply.function_error:
        output.json_pretty(payload)
    if not as_json:
        for text in reply.report.warnings:
            output.warn(text)
    if reply.function_error:
        if not as_json:
            output.explain_function_error(payload)
        raise click.exceptions.Exit(1)


def _parsed(payload: bytes) -> Any:
    try:
        return json.loads(payload) if payload else None
    except ValueError:
        return payload.decode("utf-8", "replace")


def answer(project: Project, endpoint: Endpoint, event: bytes) -> Reply:
    """One invocation of an endpoint in a worker of its own, within walls.

    Raises:
        FirstlightError: its model cannot be resolved, or its worker not started.
    """
    from firstlight.invoke.pool import PoolInvoker
    from firstlight.invoke.types import Invocation

    for text in isolation.support().of(isolation.LAMBDA).warnings():
        output.warn(text)
    alone = replace(project, endpoints={endpoint.name: endpoint})
    specs = prepare(alone, output.note).specs

    async def invoked() -> Reply:
        pool = PoolInvoker(specs, log_sink=printing.print_log)
        try:
            reply = await pool.invoke(Invocation(endpoint.name, event))
            if reply.stream is not None:
                reply.payload = b"".join([piece async for piece in reply.stream]) or reply.payload
            return reply
        finally:
            await pool.close(0)

    return asyncio.run(invoked())
