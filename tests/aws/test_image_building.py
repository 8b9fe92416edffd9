"""What ``firstlight build`` makes of bases, architectures and registries, read by tools that are not ours."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from firstlight.build.image import bases, layers
from parts.daemon import Daemon
from parts.functions import Functions, build, write_project
from parts.registry import PASSWORD, USER, RunningRegistry


def skopeo(*words: str | Path) -> Any:
    done = subprocess.run(["skopeo", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if "inspect" in words else done.stdout


def test_the_same_image_on_a_machine_that_is_set_up_otherwise(
    functions: Functions, base: Path, tmp_path: Path
) -> None:
    """Another umask, user's cache, folder, time zone, hash seed, number of CPUs; nothing kept from before."""
    root = write_project(tmp_path / "elsewhere" / "project")
    (root / "firstlight.lock").write_bytes((functions.root / "firstlight.lock").read_bytes())
    (root / "inference" / "hello.py").chmod(0o600)
    os.utime(root / "inference" / "hello.py", (1, 1))
    command = [
        *("firstlight", "build", "--json", "--locked", "--base", str(base), "--tarball", str(root / "out")),
        "hello",
    ]
    environment = {
        **os.environ,
        "TZ": "Pacific/Auckland",
        "PYTHONHASHSEED": "7",
        "LC_ALL": "C",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["taskset", "-c", "0", *command],
        cwd=root,
        env=environment,
        umask=0o077,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    packages = {one["endpoint"]: one for one in json.loads(done.stdout)["packages"]}
    assert packages["hello"]["digest"] == functions.package("hello")["digest"]
    assert not any(layer["kept"] for layer in packages["hello"]["layers"])
    one, other = functions.tars["hello"].read_bytes(), (root / "out").read_bytes()
    assert one == other


def test_a_layout_is_read_by_skopeo(functions: Functions, base: Path, tmp_path: Path) -> None:
    said = build(functions.root, "--base", base, "--layout", tmp_path / "layout", "hello")
    digest = said["packages"][0]["digest"]
    assert skopeo("inspect", f"oci:{tmp_path}/layout")["Digest"] == digest
    assert skopeo("inspect", "--config", f"oci:{tmp_path}/layout")["os"] == "linux"
    skopeo("copy", f"oci:{tmp_path}/layout", f"dir:{tmp_path}/copied")
    again = build(functions.root, "--base", base, "--layout", tmp_path / "layout", "hello")
    assert all(layer["kept"] for layer in again["packages"][0]["layers"])


def test_a_folder_is_the_same_base_as_its_tar_file(base: Path, tmp_path: Path) -> None:
    with tarfile.open(base) as archive:
        archive.extractall(tmp_path / "root", filter="fully_trusted")
    one = bases.of_root(tmp_path / "root", tmp_path / "blobs", "x86_64")
    assert (one.python, one.target.python, one.target.glibc) == ("/usr/bin/python3.11", "3.11", (2, 36))
    assert one.reference == bases.of_root(base, layers.cache(), "x86_64").reference


@pytest.fixture
def logged_in(registry: RunningRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after `docker login` at the registry."""
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": login}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))


def as_base(daemon: Daemon, registry: RunningRegistry, base: Path) -> str:
    """The base as an image of the registry, and as ``base:test`` of the daemon; its name in the registry."""
    daemon.docker("import", base, "base:test")
    skopeo(
        *("copy", "--dest-tls-verify=false", "--dest-creds", f"{USER}:{PASSWORD}"),
        *("--src-daemon-host", daemon.host, "docker-daemon:base:test", f"docker://{registry.host}/base:v1"),
    )
    return f"{registry.host}/base:v1"


def test_a_base_of_a_registry_is_pinned_and_an_image_pushed_is_run(
    base: Path, daemon: Daemon, registry: RunningRegistry, logged_in: None, tmp_path: Path
) -> None:
    as_base(daemon, registry, base)
    root = write_project(tmp_path / "shop")
    options = ("--base", f"{registry.host}/base:v1", "--push", f"{registry.host}/shop", "hello")
    said = build(root, *options)["packages"][0]
    assert said["base"].startswith(f"{registry.host}/base@sha256:")
    assert f"{registry.host}/base:v1@sha256:" in (root / "firstlight.lock").read_text()
    assert said["push"] == f"{registry.host}/shop@{said['digest']}"
    assert (said["pushed"]["sent"] > 0, said["pushed"]["mounted"] > 0) == (True, True)

    (root / "inference" / "hello.py").write_text("def handler(event, context):\n    return 'changed'\n")
    changed = build(root, "--locked", *options)["packages"][0]
    assert changed["digest"] != said["digest"]
    assert changed["base"] == said["base"]
    assert changed["pushed"]["sent"] < 100_000  # of a change of the code alone

    skopeo(
        *(
            "copy",
            "--src-tls-verify=false",
            "--src-creds",
            f"{USER}:{PASSWORD}",
            f"docker://{changed['push']}",
        ),
        *("--dest-daemon-host", daemon.host, "docker-daemon:pushed:test"),
    )
    ended = daemon.docker(
        "run", "--rm", "--entrypoint", "/usr/bin/python3.11", "pushed:test", "-c", "print(1)"
    )
    assert ended.stdout == "1\n"


@contextmanager
def runtime_api(event: object) -> Iterator[tuple[str, list[Any]]]:
    """A Runtime API with one event (AWS Lambda Runtime API, 2018-06-01): its address, and the answers it was given."""
    answers: list[Any] = []
    answered = threading.Event()
    body = json.dumps(event).encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if answers:
                answered.wait()
                self.close_connection = True
                return
            self.send_response(200)
            self.send_header("Lambda-Runtime-Aws-Request-Id", "1")
            self.send_header("Lambda-Runtime-Deadline-Ms", "9999999999999")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()
            answered.set()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", answers
        assert answered.is_set()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def unpacked(layout: Path, folder: Path) -> dict[str, Any]:
    """All layers of a layout in one folder; the image's configuration."""

    def blob(digest: str) -> Path:
        return layout / "blobs" / digest.replace(":", "/")

    index = json.loads((layout / "index.json").read_text())
    manifest = json.loads(blob(index["manifests"][0]["digest"]).read_text())
    for layer in manifest["layers"]:
        with tarfile.open(blob(layer["digest"])) as archive:
            archive.extractall(folder, filter="fully_trusted")
    config: dict[str, Any] = json.loads(blob(manifest["config"]["digest"]).read_text())
    return config


def test_an_image_for_arm64_is_made_here_and_answers_there(arm_base: Path, tmp_path: Path) -> None:
    """Made without running anything of it; its interpreter then answers under qemu.

    A script: onnxruntime's library ends qemu 7.2 itself (a fault in its first instructions), on any model of CPU.
    """
    root = write_project(tmp_path / "shop")
    said = build(
        root, "--base", arm_base, "--architecture", "arm64", "--layout", tmp_path / "layout", "hello"
    )
    assert said["packages"][0]["platform"] == "linux/arm64"
    config = unpacked(tmp_path / "layout", tmp_path / "root")
    assert config["architecture"] == "arm64"
    python, *words = config["config"]["Entrypoint"]
    variables = dict(line.partition("=")[::2] for line in config["config"]["Env"])
    with runtime_api({"name": "arm"}) as (address, answers):
        worker = subprocess.Popen(
            ["qemu-aarch64", "-L", str(tmp_path / "root"), str(tmp_path / "root") + python, *words],
            env={**variables, "AWS_LAMBDA_RUNTIME_API": address},
        )
        try:
            worker.wait(120)
        finally:
            worker.kill()
            worker.wait()
    assert answers == [{"hello": "arm"}]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--architecture", "arm64"), "is for x86_64, and the project asks for arm64"),
        (("--base", "nowhere.tar"), "there is no nowhere.tar"),
        (("--base", "127.0.0.1:1/base:v1"), "127.0.0.1:1"),
    ],
)
def test_a_base_that_does_not_do_is_explained(
    base: Path, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    root = write_project(tmp_path / "shop")
    command = [
        sys.executable,
        "-m",
        "firstlight",
        "build",
        "--package",
        "image",
        "--base",
        str(base),
        *options,
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert words in done.stderr
    assert "help:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_dockerfile_makes_the_same_function(
    functions: Functions,
    base: Path,
    daemon: Daemon,
    registry: RunningRegistry,
    logged_in: None,
    tmp_path: Path,
) -> None:
    pushed = as_base(daemon, registry, base)
    root = write_project(tmp_path / "shop")
    with (root / "firstlight.toml").open("a") as file:
        file.write(f'base = "{pushed}"\n')
    command = [sys.executable, "-m", "firstlight", "export", "dockerfile", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "out" / "hello"
    text = (folder / "Dockerfile").read_text()
    named = next(line.split()[-1] for line in text.splitlines() if line.startswith("FROM"))
    assert f"{registry.host}/base@sha256:" in named
    (folder / "Dockerfile").write_text(text.replace(named, "base:test"))  # the daemon knows no password
    daemon.docker("build", "--tag", "dockered:test", folder)
    said = json.loads(daemon.docker("inspect", "dockered:test").stdout)[0]
    ours = json.loads(daemon.docker("inspect", functions.names["hello"]).stdout)[0]
    for setting in ("Env", "Entrypoint", "WorkingDir", "User", "ExposedPorts"):
        assert said["Config"][setting] == ours["Config"][setting], setting
    ended = daemon.docker(
        *("run", "--rm", "--entrypoint", "/usr/bin/python3.11", "dockered:test", "-I", "-S", "-c"),
        "import sys; sys.path.append('/var/task/.firstlight/src'); import firstlight.runtime.worker; print('yes')",
    )
    assert ended.stdout == "yes\n"
