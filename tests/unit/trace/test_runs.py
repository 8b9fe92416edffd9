"""Scripts run for real, in processes of their own."""

from __future__ import annotations

import base64
import os
import select
import sys

import pytest

from firstlight.trace import runs
from firstlight.trace.runs import Script
from firstlight.trace.types import TraceError


@pytest.fixture
def run(tmp_path, tmp_path_factory):
    def run(source: str, event: str = "{}", **more):
        path = tmp_path / "script.py"
        path.write_text(source)
        base = tmp_path_factory.mktemp("base")
        script = Script(path, event, tmp_path, **more)
        env = runs.in_clean_folders(script, base, {"HTTPS_PROXY": "http://proxy", "SECRET": "x"})
        return runs.run(script, runs.command(), env, runs.rules(script, [base]))

    return run


def test_a_handler_is_called_in_a_workers_environment(run):
    done = run(
        "import os, sys\n"
        "def handler(event, context):\n"
        "    print('to stderr')\n"
        "    names = ('HOME', 'TMPDIR', 'HTTPS_PROXY', 'SECRET', 'OWN', 'AWS_LAMBDA_RUNTIME_API', 'FIRSTLIGHT_PATH')\n"
        "    return {'env': [os.environ.get(name) for name in names], 'event': event, 'name': context.function_name,\n"
        "            'left': context.get_remaining_time_in_millis() > 0, 'stdin': sys.stdin.read()}\n",
        '{"a": [1]}',
        env={"OWN": "1"},
        name="words",
    )
    answer = done.answer["json"]
    home, tmp, proxy, *others = answer["env"]
    assert home.endswith("/home")
    assert tmp.endswith("/tmp")
    assert (proxy, others) == ("http://proxy", [None, "1", None, None])
    assert (answer["event"], answer["name"], answer["left"], answer["stdin"]) == (
        {"a": [1]},
        "words",
        True,
        "",
    )
    assert done.error is None


def test_what_it_does_is_seen(run, tmp_path):
    done = run(
        "import os, pathlib, tempfile, urllib.request\n"
        "def handler(event, context):\n"
        "    (pathlib.Path.home() / 'ü\\udcff').write_text('x')\n"
        "    with open('beside.txt', 'w') as file: file.write('x')\n"
        "    os.makedirs(os.environ['XDG_CACHE_HOME'] + '/lib/deep')\n"
        "    try: urllib.request.urlopen('http://127.0.0.1:9/')\n"
        "    except OSError: pass\n"
        "    return [b'streamed'.decode()]\n"
    )
    wrote = {seen.what.rpartition("/")[2] for seen in done.of("write")}
    assert wrote >= {"ü\udcff", "beside.txt", "lib", "deep"}
    assert {seen.what for seen in done.of("host")} == {"127.0.0.1"}
    assert done.of("read") == []


def test_answers_of_every_kind(run):
    assert run("def handler(e, c): return b'\\xff\\xfe'").answer == {
        "bytes": base64.b64encode(b"\xff\xfe").decode()
    }
    large = run("def handler(e, c): return {'x': 'y' * 1_000_000, 'nan': float('nan')}").answer["json"]
    assert len(large["x"]) == 1_000_000
    assert run("def handler(e, c): return iter([b'[1,', b'2]'])").answer == {"json": [1, 2]}


def test_a_script_without_a_handler_answers_what_it_prints(run, capfd):
    done = run("import os, sys\nos.write(1, b'one\\n')\nprint('two')\nsys.exit(0)\n")
    assert done.answer == {"json": ["one", "two"]}
    assert "two" in capfd.readouterr().err
    failed = run("import sys\nsys.exit('no')")
    assert failed.answer is None
    assert failed.error["errorMessage"] == "the script ended itself with 'no'"


def test_an_error_has_the_scripts_own_trace_and_what_led_to_it(run):
    done = run(
        "def handler(e, c):\n"
        "    try:\n"
        "        open('/nowhere/x')\n"
        "    except OSError:\n"
        "        raise ValueError('boom')\n"
    )
    assert (done.error["errorType"], done.error["errorMessage"]) == ("ValueError", "boom")
    assert len(done.error["stackTrace"]) == 1
    assert "script.py" in done.error["stackTrace"][0]
    kinds = [cause[0][0] for cause in done.causes]
    assert kinds == ["ValueError", "FileNotFoundError"]
    broken = run("import nothing_of_that_name\ndef handler(e, c): ...")
    assert broken.error["errorType"] == "Runtime.ImportModuleError"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import os\ndef handler(e, c): os._exit(3)", "exit code 3"),
        ("import os\ndef handler(e, c): os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("import os, signal\ndef handler(e, c): os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
    ],
)
def test_a_process_that_ends_without_a_word(run, source, said):
    with pytest.raises(TraceError, match=said):
        run(source)


def test_a_run_that_takes_too_long_is_given_up(run):
    with pytest.raises(TraceError, match=r"no answer after 0\.5 seconds"):
        run("import time\ndef handler(e, c): time.sleep(60)", limit_s=0.5)


def test_what_it_left_running_ends_with_it(run):
    done = run(
        "import os, subprocess, sys\n"
        "def handler(e, c):\n"
        "    return subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid\n"
    )
    assert [seen.what for seen in done.of("program")] == [sys.executable]
    try:
        ending = os.pidfd_open(done.answer["json"])
    except ProcessLookupError:
        return
    assert select.select([ending], [], [], 10)[0]
    os.close(ending)


def test_threads_that_a_handler_left_running_are_not_waited_for(run):
    source = (
        "import os, threading\n"
        "def handler(e, c):\n"
        "    threading.Thread(target=threading.Event().wait).start()\n"
        "    os.closerange(3, 256)\n"
        "    return 1\n"
    )
    assert run(source, limit_s=20).answer == {"json": 1}


def test_a_folder_that_is_gone_is_explained(tmp_path):
    (tmp_path / "script.py").write_text("x = 1")
    script = Script(tmp_path / "script.py", root=tmp_path / "gone")
    with pytest.raises(TraceError, match="cannot be started"):
        runs.run(script, runs.command(), {}, runs.rules(script))
