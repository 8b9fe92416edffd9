"""Finding and loading the library; what goes wrong is tried in processes of their own, as a library loads once."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import firstlight
from firstlight.runtime.engines import library, ort_api

SOURCE = str(Path(firstlight.__file__).parent.parent)


def run(code, *paths):
    """Run code without site-packages but with some entries; return what it printed."""
    start = f"import sys; sys.path += {[SOURCE, *map(str, paths)]!r}\n"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", start + textwrap.dedent(code)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


BEGIN = "from firstlight.runtime.engines import library\nlibrary.begin({!r})\n"
ASK = """
    from firstlight.runtime.engines import ort_api
    from firstlight.runtime.errors import EngineError
    try:
        ort_api.opened()
    except EngineError as error:
        print(error.message, "|", error.hint)
    else:
        print("opened")
"""


def packages():
    return str(Path(library.path()).parent.parent.parent)


def test_the_library_is_that_of_the_installed_package():
    assert Path(library.path()).name.startswith("libonnxruntime.")
    assert os.path.samefile(library.path(), ort_api.library_path())
    assert ort_api.opened() is ort_api.opened()


def test_not_installed():
    assert run(ASK) == "onnxruntime is not installed | install it: pip install onnxruntime"


def test_a_file_that_is_no_library(tmp_path):
    folder = tmp_path / "onnxruntime/capi"
    folder.mkdir(parents=True)
    (folder / "libonnxruntime.so.1").write_bytes(b"not a library")
    said = run(ASK, tmp_path)
    assert "cannot be loaded" in said
    assert str(folder) in said


def test_a_library_without_the_function(tmp_path):
    folder = tmp_path / "onnxruntime/capi"
    folder.mkdir(parents=True)
    (folder / "libonnxruntime.so.1").symlink_to(
        Path(packages(), "onnxruntime/capi/libonnxruntime_providers_shared.so")
    )
    assert "cannot be loaded" in run(ASK, tmp_path)


def test_telemetry_is_off():
    code = """
        import os
        from firstlight.runtime.engines import ort_api
        ort_api.opened()
        print(os.environ["ORT_DISABLE_TELEMETRY"])
    """
    assert run(code, packages()) == "1"


def test_begun_in_a_thread(tmp_path):
    (tmp_path / "bundle.json").write_text('{"engine": "onnx"}')
    code = f"""
        from firstlight.runtime.engines import library, ort_api
        interval = sys.getswitchinterval()
        library.begin({str(tmp_path)!r})
        library.begin({str(tmp_path)!r})
        assert ort_api.opened().env
        assert library.loaded() is library.loaded()
        assert sys.getswitchinterval() == interval
        print("opened")
    """
    assert run(code, packages()) == "opened"


def test_begun_and_not_found(tmp_path):
    (tmp_path / "bundle.json").write_text('{"engine": "onnx"}')
    assert run(BEGIN.format(str(tmp_path)) + textwrap.dedent(ASK)).startswith("onnxruntime is not installed")


def test_begun_and_broken(tmp_path):
    (tmp_path / "bundle.json").write_text('{"engine": "onnx"}')
    folder = tmp_path / "onnxruntime/capi"
    folder.mkdir(parents=True)
    (folder / "libonnxruntime.so.1").write_bytes(b"not a library")
    code = BEGIN.format(str(tmp_path)) + textwrap.dedent(ASK)
    assert "cannot be loaded" in run(code, tmp_path)


def test_a_process_may_end_while_it_loads(tmp_path):
    (tmp_path / "bundle.json").write_text('{"engine": "onnx"}')
    code = BEGIN.format(str(tmp_path)) + "print('end')"
    assert run(code, packages()) == "end"


def test_nothing_is_begun_without_need(tmp_path):
    (tmp_path / "bundle.json").write_text('{"engine": "echo"}')
    for folder in (tmp_path, tmp_path / "missing"):
        code = BEGIN.format(str(folder)) + "print(library._loading)"
        assert run(code, packages()) == "None"


def test_trimming_does_no_harm():
    library.trim()
