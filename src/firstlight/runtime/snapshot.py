"""SnapStart: what a worker does around the snapshot Lambda takes of it after its init.

Hooks are those registered with ``snapshot_restore_py`` (``register_before_snapshot``, ``register_after_restore``),
as AWS's Python runtime runs them. Weights are packed before the snapshot, so that no restored worker has to.

Source: "Lambda SnapStart runtime hooks for Python" and "custom runtimes", AWS Lambda developer guide.
"""

from __future__ import annotations

import sys

from firstlight.runtime import faults, logs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from firstlight.runtime.runtime_client import RuntimeClient
    from firstlight.runtime.types import Handler

BEFORE_ERROR, AFTER_ERROR = "Runtime.BeforeSnapshotError", "Runtime.AfterRestoreError"
BEFORE_EXIT, AFTER_EXIT = 64, 65
"""The exit codes of AWS's Python runtime."""


def take(client: RuntimeClient, handler: Handler) -> None:
    """Get ready for the snapshot, wait until it is restored, get ready for work.

    Ends the process where a hook fails, after saying so to the Runtime API.
    """
    try:
        before(handler)
        client.restore_next()
    except Exception as error:
        report(error)
        client.init_error(faults.describe(error), BEFORE_ERROR)
        sys.exit(BEFORE_EXIT)
    after(client)


def before(handler: Handler) -> None:
    """Run the hooks for the time before the snapshot, and pack weights.

    Raises:
        Exception: whatever a hook raises.
    """
    hooks = sys.modules.get("snapshot_restore_py")
    if hooks is not None:
        waiting = hooks.get_before_snapshot()
        while waiting:  # the reverse of the order in which they were registered
            call, args, named = waiting.pop()
            call(*args, **named)
    if hasattr(handler, "settle"):
        handler.settle()


def after(client: RuntimeClient) -> None:
    """Run the hooks for the time after the restore; ends the process where one fails, after saying so."""
    hooks = sys.modules.get("snapshot_restore_py")
    try:
        if hooks is not None:
            for call, args, named in hooks.get_after_restore():
                call(*args, **named)
    except Exception as error:
        report(error)
        client.restore_error(faults.describe(error), AFTER_ERROR)
        sys.exit(AFTER_EXIT)


def report(error: BaseException) -> None:
    """Write an error to the log, and let the log out."""
    logs.error(faults.describe(error))
    logs.flush()
