"""The endpoints of the fault tests: one that behaves, and some that do everything a function must not do."""

from __future__ import annotations

from pathlib import Path

PROJECT = """
name = "faults"
[records]
store = "none"
[endpoints.canary]
script = "inference/canary.py"
concurrency = 1
timeout = 30
[endpoints.light]
script = "inference/canary.py"
concurrency = 1
timeout = 30
[endpoints.busy]
script = "inference/busy.py"
concurrency = 4
timeout = 30
[endpoints.faulty]
script = "inference/faulty.py"
concurrency = 2
timeout = 3
memory = 256
[endpoints.patient]
script = "inference/faulty.py"
concurrency = 2
timeout = 120
memory = 256
[endpoints.unborn]
script = "inference/unborn.py"
concurrency = 2
timeout = 3
"""

CANARY = """
def handler(event, context):
    return event
"""

BUSY = """
import time


def handler(event, context):
    time.sleep(0.02)
    return event
"""

UNBORN = """
import os

os._exit(7)


def handler(event, context):
    return event
"""

FAULTY = '''
"""Does what it is told, all of which a function should not do; bounded here too, whoever contains it."""
import ctypes
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

MOST_TASKS, BOMB_SECONDS = 4000, 10


def handler(event, context):
    return globals()["do_" + event["do"]](event)


def do_echo(event):
    return event


def do_spin(event):
    while True:
        pass


def do_hold(event):
    re.match("(a+)+$", "a" * 64 + "b")  # hours of C code that never lets go of the interpreter's lock


def do_stop(event):
    os.kill(os.getpid(), signal.SIGSTOP)


def do_ignore(event):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.kill(os.getpid(), signal.SIGTERM)
    do_spin(event)


def do_leak(event):
    if event.get("below") and os.fork():
        os.wait()
        return "it has ended"
    kept = []
    while True:
        kept.append(bytearray(b"x" * (1 << 20)))


def do_bomb(event):
    """Fork as fast as possible; with ``escape`` every process leaves its session, its parent and its environment."""
    end = time.monotonic() + BOMB_SECONDS
    while time.monotonic() < end:
        with open("/proc/loadavg") as file:
            if int(file.read().split()[3].partition("/")[2]) > MOST_TASKS:
                time.sleep(0.01)
                continue
        try:
            if os.fork() == 0:
                signal.alarm(BOMB_SECONDS + 5)
                if event.get("escape"):
                    os.setsid()
                    if os.fork():
                        os._exit(0)
        except OSError:
            time.sleep(0.001)
    os._exit(0)


def do_threads(event):
    for _ in range(3000):
        threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
    return threading.active_count()


def do_write(event):
    """A gigabyte to stdout, in lines or in one."""
    line = (b"x" * 1023 + b"\\n") if event.get("lines", True) else b"x" * 1024
    block = line * 1024
    for _ in range(event["megabytes"]):
        view = memoryview(block)
        while view:
            view = view[os.write(1, view):]
    print("\\nthe last words")
    return "written"


def do_exit(event):
    os._exit(event["status"])


def do_signal(event):
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.kill(os.getpid(), event["number"])
    time.sleep(30)


def do_crash(event):
    ctypes.string_at(0)


def do_close(event):
    os.closerange(3, 1024)
    return "closed"


def do_garbage(event):
    """Everything the Runtime API does not expect, from another connection, while the invocation runs."""
    path = os.environ["AWS_LAMBDA_RUNTIME_API"].removeprefix("unix:")
    said = [
        os.urandom(4096),
        b"GET / HTTP/1.1\\r\\n" + b"X: y\\r\\n" * 100_000,
        b"GET /" + b"x" * 1_000_000,
        b"POST /2018-06-01/runtime/invocation/nothing/response HTTP/1.1\\r\\nContent-Length: 2\\r\\n\\r\\n{}",
        b"POST /2018-06-01/runtime/init/error HTTP/1.1\\r\\nContent-Length: 2\\r\\n\\r\\n{}",
        b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\n\\r\\n",
        b"POST /2018-06-01/runtime/invocation/x/response HTTP/1.1\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\nzz\\r\\n",
        b"POST /2018-06-01/runtime/invocation/x/response HTTP/1.1\\r\\nContent-Length: 99999999999\\r\\n\\r\\n"
        + b"x" * 20_000_000,
    ]
    for data in said:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.settimeout(0.2)
            try:
                opened.connect(path)
                opened.sendall(data)
                opened.recv(4096)
            except OSError:
                pass
    return "said"


def do_large(event):
    return "x" * (6_291_556 - 2 + event["more"])


def do_stream(event):
    piece = b"x" * event["bytes"]

    def pieces():
        for _ in range(event["pieces"]):
            yield piece
            time.sleep(event.get("pause", 0))

    return pieces()


def do_background(event):
    threading.Thread(target=do_spin, args=(event,), daemon=True).start()
    threading.Thread(target=print_on, daemon=True).start()
    return "answered"


def print_on():
    while True:
        print("still here")
        time.sleep(0.01)


def do_descriptors(event):
    kept = []
    while True:
        kept.append(open(os.devnull))


def do_touch(event):
    with open(event["file"], "w"):
        return "touched"


def do_fill(event):
    with open(os.path.join(event["folder"], "filling"), "wb") as file:
        for _ in range(event["megabytes"]):
            file.write(b"x" * (1 << 20))
    return "filled"


def do_daemon(event):
    """Leave a process behind that has nothing in common with this one: no parent, session or environment."""
    stay = f"import time; time.sleep(1234) # {event['mark']}"
    leave = "import os, sys; os.fork() and os._exit(0); os.setsid(); "
    leave += f"os.execve(sys.executable, ['python', '-c', {stay!r}], {{}})"
    subprocess.Popen([sys.executable, "-c", leave]).wait()
    time.sleep(0.3)
    if event.get("exit"):
        os._exit(1)
    return "left behind"
'''


def write_project(folder: Path) -> Path:
    """The project of the endpoints above."""
    (folder / "inference").mkdir(parents=True)
    (folder / "firstlight.toml").write_text(PROJECT)
    for name, text in {"canary": CANARY, "busy": BUSY, "unborn": UNBORN, "faulty": FAULTY}.items():
        (folder / "inference" / f"{name}.py").write_text(text)
    return folder
