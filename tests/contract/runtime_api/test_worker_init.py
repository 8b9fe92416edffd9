"""What a worker says when it cannot start, SnapStart, idle time, and its log."""

import json
from pathlib import Path

import pytest

from contract.runtime_api.recorder import PATIENCE, RuntimeApi
from contract.runtime_api.workers import Pipe, Start, read_soon


def init_error(api: RuntimeApi, worker) -> tuple[dict, str]:
    """The error a worker that did not start has posted, and the type in its header."""
    code, _, complaint = worker.end()
    assert (code, complaint) == (1, "")
    (message,) = api.messages
    assert (message.method, message.path) == ("POST", "/2018-06-01/runtime/init/error")
    return json.loads(message.body), message.headers["lambda-runtime-function-error-type"]


@pytest.fixture
def tcp():
    with RuntimeApi() as api:
        yield api


def test_a_module_that_is_missing(tcp: RuntimeApi, start: Start, tmp_path: Path) -> None:
    error, kind = init_error(
        tcp, start(tcp, "import no_such_module\ndef handler(e, c): pass", file="mood-2.py")
    )
    assert kind == "Runtime.ImportModuleError"
    assert error == {
        "errorMessage": "Unable to import module 'mood-2': No module named 'no_such_module'",
        "errorType": "Runtime.ImportModuleError",
        "requestId": "",
        "stackTrace": [f'  File "{tmp_path}/mood-2.py", line 1, in <module>\n    import no_such_module\n'],
        "hint": "install the package that has no_such_module, or put no_such_module.py beside the script",
    }


def test_transformers_has_a_line_to_write_instead(tcp: RuntimeApi, start: Start) -> None:
    source = "from transformers import pipeline\ndef handler(event, context): return 1"
    error, _ = init_error(tcp, start(tcp, source))
    assert error["errorMessage"] == "Unable to import module 'script': No module named 'transformers'"
    assert "from firstlight import pipeline" in error["hint"]


def test_a_name_that_a_module_lacks(tcp: RuntimeApi, start: Start) -> None:
    error, kind = init_error(tcp, start(tcp, "from os import nothing_such\ndef handler(e, c): pass"))
    assert kind == "Runtime.ImportModuleError"
    assert "cannot import name 'nothing_such' from 'os'" in error["errorMessage"]
    assert "hint" not in error


def test_a_syntax_error(tcp: RuntimeApi, start: Start, tmp_path: Path) -> None:
    error, kind = init_error(tcp, start(tcp, "from transformers\nimport pipeline\n"))
    assert kind == error["errorType"] == "Runtime.UserCodeSyntaxError"
    assert error["errorMessage"] == "Syntax error in module 'script': invalid syntax (script.py, line 1)"
    assert error["stackTrace"] == [f'  File "{tmp_path}/script.py" Line 1\n    from transformers\n']


def test_code_that_raises_on_import_shows_the_users_frames_only(
    tcp: RuntimeApi, start: Start, tmp_path: Path
) -> None:
    error, kind = init_error(tcp, start(tcp, "def load():\n    raise OSError('no weights')\nload()"))
    assert kind == "Function.OSError"
    assert error == {
        "errorMessage": "no weights",
        "errorType": "OSError",
        "requestId": "",
        "stackTrace": [
            f'  File "{tmp_path}/script.py", line 3, in <module>\n    load()\n',
            f"  File \"{tmp_path}/script.py\", line 2, in load\n    raise OSError('no weights')\n",
        ],
    }


def test_a_script_with_nothing_to_call(tcp: RuntimeApi, start: Start, tmp_path: Path) -> None:
    error, kind = init_error(tcp, start(tcp, "nlp = 3"))
    assert kind == "Function.HandlerError"
    assert error["errorMessage"] == f"{tmp_path}/script.py has nothing to call"
    assert "handler(event, context)" in error["hint"]
    assert "EndpointHandler" in error["hint"]
    assert "model_fn" in error["hint"]
    assert error["stackTrace"] == []


def test_a_script_that_is_missing(tcp: RuntimeApi, start: Start, tmp_path: Path) -> None:
    error, _ = init_error(tcp, start(tcp, FIRSTLIGHT_SCRIPT=str(tmp_path / "gone.py")))
    assert error["errorMessage"] == f"there is no script {tmp_path}/gone.py"


def test_nothing_to_run(tcp: RuntimeApi, start: Start) -> None:
    error, _ = init_error(tcp, start(tcp))
    assert error["errorType"] == "HandlerError"
    assert "FIRSTLIGHT_BUNDLE" in error["hint"]


@pytest.mark.parametrize(
    ("handler", "kind", "message"),
    [
        ("script.nothing", "Runtime.HandlerNotFound", "Handler 'nothing' missing on module 'script'"),
        ("script", "Runtime.MalformedHandlerName", "Bad handler 'script': not enough values to unpack"),
        ("sys.exit", "Runtime.BuiltInModuleConflict", "Cannot use built-in module sys as a handler module"),
        (
            "gone.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'gone': No module named 'gone'",
        ),
    ],
)
def test_a_handler_name_that_leads_nowhere(
    tcp: RuntimeApi, start: Start, handler: str, kind: str, message: str
) -> None:
    error, sent = init_error(tcp, start(tcp, "def handler(event, context): pass", _HANDLER=handler))
    assert kind == error["errorType"] == sent
    assert error["errorMessage"].startswith(message)


@pytest.mark.parametrize("handler", ["script.handler", "folder/inner.handler", "folder.inner.handler"])
def test_a_handler_by_name(tcp: RuntimeApi, start: Start, tmp_path: Path, handler: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inner.py").write_text("from script import handler")
    start(tcp, "def handler(event, context): return __name__", _HANDLER=handler)
    assert json.loads(tcp.invoke().body) == "script"


HOOKS = """
import sys, types
hooks = types.ModuleType("snapshot_restore_py")
before, after = [], []
hooks.get_before_snapshot, hooks.get_after_restore = (lambda: before), (lambda: after)
sys.modules["snapshot_restore_py"] = hooks
done = []
def note(*words):
    if "fail" in words:
        raise RuntimeError("no")
    done.append(words[0])
def handler(event, context):
    return done
handler.settle = lambda: note("settled")
"""


def test_snapstart_runs_the_hooks_and_packs_before_the_snapshot(tcp: RuntimeApi, start: Start) -> None:
    hooks = "before += [(note, ('b1',), {}), (note, ('b2',), {})]; after += [(note, ('a1',), {}), (note, ('a2',), {})]"
    start(tcp, HOOKS + hooks, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start")
    assert tcp.restoring.wait(PATIENCE)
    assert [message.path.rpartition("runtime/")[2] for message in tcp.messages] == ["restore/next"]
    event = tcp.put()
    tcp.restore.set()
    assert json.loads(event.wait().body) == ["b2", "b1", "settled", "a1", "a2"]


def test_a_hook_that_fails_after_the_restore(tcp: RuntimeApi, start: Start) -> None:
    worker = start(
        tcp, HOOKS + "after += [(note, ('fail',), {})]", AWS_LAMBDA_INITIALIZATION_TYPE="snap-start"
    )
    tcp.restore.set()
    assert worker.end()[0] == 65
    message = tcp.messages[-1]
    assert message.path.endswith("/runtime/restore/error")
    assert message.headers["lambda-runtime-function-error-type"] == "Runtime.AfterRestoreError"
    assert json.loads(message.body)["errorMessage"] == "no"


def test_a_hook_that_fails_before_the_snapshot(tcp: RuntimeApi, start: Start) -> None:
    worker = start(
        tcp, HOOKS + "before += [(note, ('fail',), {})]", AWS_LAMBDA_INITIALIZATION_TYPE="snap-start"
    )
    assert worker.end()[0] == 64
    (message,) = tcp.messages
    assert message.path.endswith("/runtime/init/error")
    assert message.headers["lambda-runtime-function-error-type"] == "Runtime.BeforeSnapshotError"


SETTLES = """
import os
settled = []
def handler(event, context):
    return len(settled)
def settle():
    settled.append(1)
    with open("pipe", "w") as pipe:
        pipe.write("now")
    if os.environ.get("FAILS"):
        raise ValueError("cannot settle")
handler.settle = settle
"""


@pytest.mark.parametrize("env", [{}, {"FAILS": "1"}])
def test_idle_time_is_used_once(tcp: RuntimeApi, start: Start, pipe: Pipe, env: dict[str, str]) -> None:
    worker = start(tcp, SETTLES, **env)
    assert pipe.read() == b"now"  # returns when the worker has settled
    assert json.loads(tcp.invoke().body) == 1
    assert json.loads(tcp.invoke().body) == 1
    tcp.close()
    code, output, _ = worker.end()
    assert code == 0
    assert ("cannot settle" in output) == bool(env)


def test_a_waiting_invocation_goes_first(tcp: RuntimeApi, start: Start, pipe: Pipe) -> None:
    events = [tcp.put() for _ in range(3)]
    start(tcp, SETTLES)
    assert [json.loads(event.wait().body) for event in events] == [0, 0, 0]
    assert pipe.read() == b"now"


def log_of(api: RuntimeApi, worker) -> tuple[list[str], str]:
    api.close()
    code, output, complaint = worker.end()
    assert code == 0
    return output.splitlines(), complaint


def test_the_log_in_text(tcp: RuntimeApi, start: Start, tmp_path: Path) -> None:
    source = """
    print("loading")
    def handler(event, context):
        import logging
        print("thinking é")
        logging.getLogger("mine").warning("careful %d", 5)
        logging.getLogger("mine").info("unseen")
        context.log("as it is\\n")
        raise ValueError("boom")
    """
    worker = start(tcp, source, LC_ALL="C")
    event = tcp.put()
    event.wait()
    lines, complaint = log_of(tcp, worker)
    assert complaint == ""
    level, time, request, message = lines.pop(2).split("\t")
    assert (level, request, message) == ("[WARNING]", event.request_id, "careful 5")
    assert len(time) == len("2026-11-20T13:35:00.123Z")
    assert lines == [
        "loading",
        "thinking é",
        "as it is",
        "[ERROR] ValueError: boom",
        "Traceback (most recent call last):",
        f'  File "{tmp_path}/script.py", line 9, in handler',
        '    raise ValueError("boom")',
    ]


def test_the_log_in_json(tcp: RuntimeApi, start: Start) -> None:
    source = """
    import logging, sys
    print("loading")
    def handler(event, context):
        print("two", "words", end="")
        print(" one line\\nnext é")
        print("complaint", file=sys.stderr)
        log = logging.getLogger("mine")
        log.info({"a": 1})
        log.debug("unseen")
        try:
            1 / 0
        except ZeroDivisionError:
            log.exception("caught", extra={"weight": 3, "odd": object})
        print("no end", end="")
        raise ValueError("boom")
    """
    worker = start(tcp, source, AWS_LAMBDA_LOG_FORMAT="JSON", AWS_LAMBDA_LOG_LEVEL="INFO")
    event = tcp.put(aws_tenant_id="t1")
    event.wait()
    output, complaint = log_of(tcp, worker)
    lines = [json.loads(line) for line in output]
    assert all(line.pop("timestamp").endswith("Z") for line in lines)
    assert lines[0] == {"level": "INFO", "message": "loading"}
    of = {"requestId": event.request_id, "tenantId": "t1"}
    assert lines[1] == {"level": "INFO", "message": "two words one line", **of}
    assert lines[2] == {"level": "INFO", "message": "next é", **of}
    assert lines[3] == {"level": "INFO", "message": {"a": 1}, "logger": "mine", **of}
    trace, where = lines[4].pop("stackTrace"), lines[4].pop("location")
    assert "1 / 0" in trace[0]
    assert ":handler:" in where
    error = {"errorType": "ZeroDivisionError", "errorMessage": "division by zero"}
    extra = {"weight": 3, "odd": "<class 'object'>"}
    assert lines[4] == {"level": "ERROR", "message": "caught", "logger": "mine", **error, **of, **extra}
    assert lines[5]["errorType"] == "ValueError"
    assert lines[5]["requestId"] == event.request_id
    assert lines[6] == {"level": "INFO", "message": "no end", **of}
    assert len(lines) == 7
    (line,) = complaint.splitlines()
    assert json.loads(line)["message"] == "complaint"
    assert json.loads(line)["level"] == "ERROR"


def test_the_log_leaves_before_the_answer(tcp: RuntimeApi, start: Start) -> None:
    worker = start(tcp, "def handler(event, context): print('begun', end='')")
    tcp.invoke()
    assert read_soon(worker.process.stdout.fileno()) == b"begun"
