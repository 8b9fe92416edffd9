"""Small programs of ours beside the server that start workers for it, each at the other end of a socket pair."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from firstlight.invoke.limits import import_path


def start(script: Path) -> tuple[subprocess.Popen[bytes], socket.socket] | None:
    """The program, which is told the number of its end, and our end; None where it cannot be started.

    It is in a session of its own, so that Ctrl-C does not reach it, and has nothing of the user's environment.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        try:
            program = subprocess.Popen(
                (sys.executable, "-I", "-S", "-u", str(script), str(theirs.fileno())),
                env={"FIRSTLIGHT_PATH": import_path(), "LANG": "en_US.UTF-8", "TZ": ":UTC"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        except OSError:
            ours.close()
            return None
    return program, ours
