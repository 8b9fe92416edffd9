"""The snapshot of a version: a worker that is initialised and waits, and of which copies are forked. Linux only.

Run as ``python -I -u snapshot_process.py`` in the environment of a worker; ``FIRSTLIGHT_SNAPSHOT`` is the path of the
control socket. It loads the handler, runs the hooks for the time before the snapshot, and says over that socket one of

    {"ready": 12.5}                                it took 12.5 ms; from here on it speaks as ``zygote_process`` does
    {"unsafe": "it has 3 threads"}                 it cannot be forked; it ends
    {"failed": {"errorType": ..}, "kind": ".."}    the init or a hook failed; it ends

A copy runs the hooks for the time after the restore, then answers invocations as any worker.
"""

from __future__ import annotations

from time import perf_counter_ns

start_ns = perf_counter_ns()

import _socket  # noqa: E402
import gc  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from ctypes import CDLL  # noqa: E402

gc.disable()
here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
# The script's own folder holds a module called types, which the library's must not be taken for.
sys.path[:] = [entry for entry in sys.path if entry != here]
entries = [*os.environ.get("FIRSTLIGHT_PATH", "").split(os.pathsep), here.rsplit(os.sep, 2)[0]]
sys.path += [entry for entry in entries if entry and entry not in sys.path]

from firstlight.invoke import snapshot_safety  # noqa: E402
from firstlight.invoke.zygote_process import Zygote  # noqa: E402
from firstlight.runtime import deadline, entry, faults, jsons, logs, snapshot, worker  # noqa: E402
from firstlight.runtime.runtime_client import RuntimeApiError, RuntimeClient  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from firstlight.runtime.types import Handler

_PR_SET_PDEATHSIG = 1


def say(control: _socket.socket, message: dict[str, Any]) -> None:
    """Tell the server something; one that is gone ends this process."""
    try:
        control.send(jsons.dumps(message).encode())
    except OSError:
        os._exit(0)


def load(control: _socket.socket) -> Handler:
    """The handler, with the hooks for the time before the snapshot done. Ends the process where that fails."""
    kind = ""
    try:
        handler = entry.load(os.environ)
        kind = snapshot.BEFORE_ERROR
        snapshot.before(handler)
    except Exception as error:
        snapshot.report(error)
        say(control, {"failed": faults.describe(error), "kind": kind or faults.kind(error)})
        sys.exit(1)
    logs.flush()
    return handler


def go_on(handler: Handler, address: str, log: int) -> None:
    """Be a worker: a copy in all but what it writes to and whom it asks for work.

    What the init did to the environment, the folder and the streams stays, as in a snapshot.

    Args:
        address: of its Runtime API.
        log: descriptor for what it writes.
    """
    os.setsid()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.environ["AWS_LAMBDA_RUNTIME_API"] = address
    snapshot_safety.reopen()
    snapshot_safety.differ()
    client = RuntimeClient(address)
    deadline.watch(client.connection.ended)
    try:
        client.connection.open()
        snapshot.after(client)
        worker.run(handler, client, os.environ)
    except RuntimeApiError as error:
        sys.exit(f"error: {error}")
    except ConnectionError:
        return  # whoever started this worker has closed its end
    finally:
        logs.flush()


def main() -> None:
    """Load, then fork on request; in a child, work."""
    control = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    control.connect(os.environ.pop("FIRSTLIGHT_SNAPSHOT"))
    CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    logs.set_up(os.environ)
    handler = load(control)
    gc.collect()
    gc.freeze()
    gc.enable()
    reason = snapshot_safety.reason([control.fileno()])
    if reason:
        say(control, {"unsafe": reason})
        return
    say(control, {"ready": (perf_counter_ns() - start_ns) / 1e6})
    become = Zygote(control).serve()
    if become is not None:
        go_on(handler, become["env"]["AWS_LAMBDA_RUNTIME_API"], become["log"])


if __name__ == "__main__":
    main()
