"""``serve --strict`` and ``run --strict`` for real: every worker within the walls of AWS Lambda's sandbox."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from firstlight import isolation
from firstlight.isolation.walls import HOME
from serving import PATIENCE, Server

PROJECT = """
name = "strict"
[endpoints.mood]
model = "starter:sentiment"
[endpoints.qa]
model = "starter:qa"
[endpoints.free]
script = "inference/does.py"
env = { HOME = "/tmp", USER = "nobody", LOGNAME = "nobody" }
[endpoints.limited]
script = "inference/limited.py"
memory = 128
timeout = 1
[endpoints.broken]
script = "inference/at_import.py"
"""

DOES = '''
"""Does what works on a laptop and not on Lambda."""
import os
import socket
from pathlib import Path


def handler(event, context):
    return globals()[event["do"]](event)


def home(event):
    folder = Path("~/.cache/words").expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    folder.rmdir()
    return "made"


def lock(event):
    import multiprocessing

    multiprocessing.Lock()
    return "locked"


def pool(event):
    import multiprocessing

    with multiprocessing.Pool(2) as workers:
        return workers.map(abs, [-1, 2])


def threads(event):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as workers:
        return list(workers.map(abs, [-1, 2]))


def tmp(event):
    file = Path("/tmp", event["name"])
    before = file.exists()
    file.write_text("kept between invocations")
    return before


def fill(event):
    with open("/tmp/large", "wb") as file:
        for _ in range(513):
            file.write(bytes(1 << 20))


def beside(event):
    Path("answers.txt").write_text("x")


def weights(event):
    return Path("model.safetensors").read_text()


def connect(event):
    with socket.create_connection(("127.0.0.1", event["port"]), timeout=10) as connection:
        return connection.recv(5).decode()


def user(event):
    import getpass

    return getpass.getuser()


def who(event):
    return {"uid": os.getuid(), "home": os.environ["HOME"], "cwd": os.getcwd(), "dev": os.listdir("/dev")}


def stream(event):
    yield b"first "
    beside(event)


def eat(event):
    return len(bytearray(400 << 20))


def sleep(event):
    import threading

    threading.Event().wait(60)


def child(event):
    import subprocess

    script = "echo $HOME; touch " + event["file"]
    return subprocess.run(["sh", "-c", script], capture_output=True).stdout.decode()
'''


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("strict")
    (folder / "inference").mkdir()
    (folder / "firstlight.toml").write_text(PROJECT)
    (folder / "inference" / "does.py").write_text(DOES)
    (folder / "inference" / "at_import.py").write_text(
        "from pathlib import Path\nPath.home().joinpath('data').mkdir(parents=True)\ndef handler(e, c): ...\n"
    )
    (folder / "inference" / "named.py").write_text(DOES)
    (folder / "inference" / "limited.py").write_text(DOES)
    (folder / "model.safetensors").write_text("weights")
    (folder / "model.safetensors").chmod(0o600)
    with Server(folder, "--strict") as running:
        yield running


def invoke(server: Server, what: str, endpoint: str = "named", **more: Any) -> Any:
    """The answer of an endpoint, or its function error."""
    body = {"do": what, **more}
    status, _, answer = server.ask("POST", f"/2015-03-31/functions/{endpoint}/invocations", body)
    assert status == 200, answer
    return json.loads(answer)


HERE = isolation.support().of(isolation.LAMBDA)


def test_the_server_says_which_walls_stand_and_warns_of_the_others(strict: Server) -> None:
    facts = strict.facts["strict"]
    missing = {name: why for name, why in HERE.missing.items() if name != "network"}
    assert facts == {"how": HERE.how, "enforced": list(HERE.enforced), "missing": missing}
    assert "network" not in facts["enforced"]
    said = "".join(strict.log)
    assert f"strict: {HERE.sentence()}" in said
    for text in HERE.warnings():
        assert f"warning: {text}" in said
    assert ("not enforced here" in said) == bool(missing)


def test_starters_answer_as_usual(strict: Server) -> None:
    for path, question in {
        "mood": {"inputs": "what a lovely day"},
        "qa": {"inputs": {"question": "Who sings?", "context": "Ann sings in the rain."}},
    }.items():
        status, _, answer = strict.ask("POST", f"/models/{path}", question)
        assert status == 200, answer
        found = json.loads(answer)
        assert found["answer"] == "Ann" if path == "qa" else "POSITIVE" in str(found)


def test_home_cannot_be_written_and_the_error_says_why_and_how_to_fix_it(strict: Server) -> None:
    error = invoke(strict, "home")
    assert invoke(strict, "home", "free") == "made"
    if "read-only" in HERE.missing and os.geteuid() == 0:
        assert error == "made", "nothing keeps root from it"
        return
    assert error["errorType"] in ("OSError", "PermissionError", "FileNotFoundError")
    assert HOME in error["errorMessage"]
    assert error["hint"].startswith(f"HOME is {HOME} on AWS Lambda, which does not exist and cannot be made")
    assert "`firstlight trace`" in error["hint"]
    assert "HOME=/tmp" in error["hint"]


def test_the_same_where_a_script_does_it_when_it_is_imported(strict: Server) -> None:
    error = invoke(strict, "x", "broken")
    assert HOME in error["errorMessage"]
    assert error["hint"].startswith(f"HOME is {HOME} on AWS Lambda")
    assert any(f"help: HOME is {HOME}" in line for line in strict.log)


def test_locks_and_pools_are_refused_and_threads_work(strict: Server) -> None:
    for what in ("lock", "pool"):
        found = invoke(strict, what)
        if "shm" in HERE.missing:
            assert found in ("locked", [1, 2])
        else:
            assert "no /dev/shm" in found["hint"]
            assert "use threads" in found["hint"]
    assert invoke(strict, "threads") == [1, 2]


def test_tmp_can_be_written_until_it_is_full(strict: Server) -> None:
    name = f"{strict.folder.parent.name}-{strict.folder.name}"
    file = Path("/tmp", name)
    assert invoke(strict, "tmp", name=name) is False
    assert invoke(strict, "tmp", name=name) is True
    if "tmp" in HERE.missing:
        assert file.exists()
        file.unlink()
        return
    assert not file.exists()
    assert invoke(strict, "tmp", "free", name=name) is False, "every worker has its own"
    error = invoke(strict, "fill", "free")
    assert "[Errno 28]" in error["errorMessage"]
    assert "512 MB" in error["hint"]


def _may_be_written(folder: Path) -> bool:
    """Landlock opens all of /tmp or nothing of it, a project in it too."""
    return HERE.how == "landlock" and folder.resolve().is_relative_to("/tmp")


def test_nothing_but_tmp_can_be_written(strict: Server) -> None:
    found = invoke(strict, "beside")
    if "read-only" in HERE.missing or _may_be_written(strict.folder):
        assert found is None
        return
    assert "only /tmp can be written on AWS Lambda" in found["hint"]
    assert not (strict.folder / "answers.txt").exists()


def test_files_that_only_their_owner_may_read(strict: Server) -> None:
    found = invoke(strict, "weights")
    if "unreadable" in HERE.missing:
        assert found == "weights"
        return
    assert found["errorType"] == "PermissionError"
    assert "only its owner may read model.safetensors" in found["hint"]
    assert "chmod -R a+rX" in found["hint"]


def test_a_function_may_call_others(strict: Server) -> None:
    """As on Lambda, where the network is there; ``firstlight doctor --lambda`` tries without it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"hello")

        greeting = threading.Thread(target=greet)
        greeting.start()
        assert invoke(strict, "connect", port=server.getsockname()[1]) == "hello"
        greeting.join(PATIENCE)


def test_the_user_is_nobody_that_is_known(strict: Server) -> None:
    who = invoke(strict, "who")
    assert who["home"] == HOME
    assert who["cwd"] == str(strict.folder)
    found = invoke(strict, "user")
    if "user" in HERE.missing:
        assert who["uid"] == os.getuid()
        return
    assert who["uid"] != os.getuid()
    assert "shm" not in who["dev"]
    assert "set USER and LOGNAME" in found["hint"]
    assert invoke(strict, "user", "free") == "nobody"


def test_a_stream_that_hits_a_wall_says_so(strict: Server) -> None:
    if "read-only" in HERE.missing or _may_be_written(strict.folder):
        assert "tmp" in HERE.missing
        return
    path = "/2021-11-15/functions/named/response-streaming-invocations"
    status, _, answer = strict.ask("POST", path, {"do": "stream"})
    assert status == 200
    assert b"first " in answer
    assert b"only /tmp can be written on AWS Lambda" in answer


def test_memory_and_time_are_limited_as_ever(strict: Server) -> None:
    assert invoke(strict, "eat", "limited")["errorType"] == "Runtime.OutOfMemory"
    assert invoke(strict, "sleep", "limited")["errorType"] == "Sandbox.Timedout"
    assert invoke(strict, "threads", "limited") == [1, 2]


def test_what_a_worker_starts_is_within_the_same_walls(strict: Server) -> None:
    left = Path("/var/tmp", f"{strict.folder.parent.name}-{strict.folder.name}")
    assert invoke(strict, "child", file=str(left)) == f"{HOME}\n"
    assert left.exists() == ("read-only" in HERE.missing)
    left.unlink(missing_ok=True)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "firstlight", "run", "named", "--strict", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_run_strict(strict: Server) -> None:
    done = run(strict.folder, "do=threads")
    assert (done.returncode, json.loads(done.stdout)) == (0, [1, 2])
    done = run(strict.folder, "do=home")
    assert done.returncode == 1
    assert f"help: HOME is {HOME} on AWS Lambda" in done.stderr
    done = run(strict.folder, "do=home", "--json")
    assert json.loads(done.stdout)["functionError"] == "Unhandled"
    assert json.loads(done.stdout)["payload"]["hint"].startswith("HOME is")
    assert run(strict.folder, "do=home", "--stream").returncode == 2
