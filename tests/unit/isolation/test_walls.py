"""Walls around real processes. Where a machine cannot put one up, ``support`` has to say so and why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from firstlight import isolation
from firstlight.isolation import Support, Walls, machine
from firstlight.isolation.walls import HOME, USER
from firstlight.isolation.wrapping import described, unknown_user, wrapped

TRIES = """
import json, os, sys
here = sys.argv[1]
def tried(what):
    try:
        return what()
    except Exception as error:
        return [type(error).__name__, getattr(error, "errno", None), str(error)]
def lock():
    import multiprocessing
    multiprocessing.Lock()
def full():
    with open(sys.argv[4] + "-full", "wb") as file:
        for _ in range(4):
            file.write(bytes(1 << 20))
            file.flush()
    os.unlink(sys.argv[4] + "-full")
def own_server():
    import socket
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
def others():
    import socket
    socket.create_connection(("127.0.0.1", int(sys.argv[2])), timeout=5).close()
with open("/proc/self/status") as file:
    status = dict(line.split(":", 1) for line in file)
print(json.dumps({
    "home": os.environ.get("HOME"),
    "make home": tried(lambda: os.makedirs(os.path.expanduser("~"))),
    "write": tried(lambda: open(here + "/new", "w").close()),
    "write elsewhere": tried(lambda: open(sys.argv[3], "a").close()),
    "write kept": tried(lambda: open(here + "/kept/new", "w").close()),
    "full": tried(full),
    "write tmp": tried(lambda: open(sys.argv[4], "w").close()),
    "cwd": os.getcwd(),
    "lock": tried(lock),
    "null": tried(lambda: open("/dev/null", "w").close()),
    "random": tried(lambda: len(open("/dev/urandom", "rb").read(8))),
    "user": os.getuid(),
    "capabilities": status["CapEff"].strip(),
    "secret": tried(lambda: open(here + "/secret").read()),
    "plain": tried(lambda: open(here + "/plain").read()),
    "hidden": tried(lambda: os.listdir(here + "/hidden")),
    "through": tried(lambda: open(here + "/hidden/deep/through").read()),
    "own server": tried(own_server),
    "others": tried(others),
}))
"""
NAMES = ("read-only", "tmp", "shm", "user", "unreadable", "hidden", "network")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with something to read, to hide and to write to."""
    for name in ("kept", "hidden/deep"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("secret", "plain", "hidden/gone", "hidden/deep/through"):
        (tmp_path / name).write_text(name)
    return tmp_path


def walls_of(folder: Path, **changes: Any) -> Walls:
    return Walls(
        **{
            "through": (folder, folder / "hidden/deep/through"),
            "writable": (folder / "kept",),
            "hidden": (folder / "hidden",),
            "unreadable": (folder / "secret",),
            "tmp_mb": 2,
            "network": False,
            **changes,
        }
    )


def elsewhere(folder: Path) -> Path:
    """A file in a folder that is not /tmp and that everybody may write to."""
    return Path("/var/tmp") / f"{folder.parent.name}-{folder.name}"


def in_tmp(folder: Path) -> Path:
    return Path("/tmp") / f"{folder.parent.name}-{folder.name}"


def run(argv: list[str], folder: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=60, check=False, **more)


def tries(folder: Path, port: int = 1) -> list[str]:
    return [
        sys.executable,
        "-I",
        "-c",
        TRIES,
        str(folder),
        str(port),
        str(elsewhere(folder)),
        str(in_tmp(folder)),
    ]


def within(folder: Path, walls: Walls, on: Support | None = None, port: int = 1) -> dict[str, Any]:
    done = run(isolation.command(tries(folder, port), walls, on), folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_wall_stands_or_support_says_why_not(folder: Path) -> None:
    here = isolation.support()
    assert set(here.missing) | set(here.enforced) == set(NAMES) == set(machine.WALLS)
    assert all(here.missing.values())
    found = within(folder, walls_of(folder))
    assert found["home"] == HOME
    assert found["cwd"] == str(folder)
    assert found["plain"] == "plain"
    assert found["null"] is None
    assert found["random"] == 8
    assert (found["write elsewhere"] is None) == ("read-only" in here.missing)
    assert (found["make home"] is None) == ("read-only" in here.missing and os.geteuid() == 0)
    assert found["write kept"] is None
    assert (found["lock"] is None) == ("shm" in here.missing)
    assert (found["secret"] == "secret") == ("unreadable" in here.missing)
    assert (found["hidden"] == ["deep"]) == ("hidden" not in here.missing)
    assert found["through"] == "hidden/deep/through"
    assert (found["user"] == os.getuid()) == ("user" in here.missing)
    assert in_tmp(folder).exists() == ("tmp" in here.missing)
    assert (found["full"] is None) == ("tmp" in here.missing)
    assert found["others"] is not None
    for file in (in_tmp(folder), elsewhere(folder)):
        file.unlink(missing_ok=True)


def test_what_is_refused_is_refused_as_on_lambda(folder: Path) -> None:
    here = isolation.support()
    found = within(folder, walls_of(folder))
    kinds = {
        "read-only": ("write", "OSError", 30),
        "tmp": ("full", "OSError", 28),
        "shm": ("lock", "FileNotFoundError", 2),
        "unreadable": ("secret", "PermissionError", 13),
    }
    if here.how == "namespaces":
        for name in here.enforced:
            if name in kinds:
                what, kind, number = kinds[name]
                assert found[what][:2] == [kind, number], what
        assert found["own server"] is None
        assert found["capabilities"].strip("0") == ""
    else:
        assert "tmp" in here.missing
        assert here.warnings()


def test_walls_can_be_left_out(folder: Path) -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", "import socket; s = socket.create_server(('127.0.0.1', 0));"
         "print(s.getsockname()[1], flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    port = int(server.stdout.readline())
    bare = Walls(
        read_only=False, home=None, network=True, shm=True, user=None, tmp_mb=None, hidden=(), through=()
    )
    found = within(folder, bare, port=port)
    server.communicate("\n")
    assert found["home"] == os.environ.get("HOME")
    assert found["write"] is found["lock"] is found["others"] is found["write elsewhere"] is None
    elsewhere(folder).unlink()
    assert found["user"] == os.getuid()
    assert found["secret"] == "secret"
    assert (folder / "new").is_file()
    in_tmp(folder).unlink()


def test_a_folder_in_shared_memory_can_be_seen_though_that_is_gone(folder: Path) -> None:
    if not os.access("/dev/shm", os.W_OK):
        assert sys.platform != "linux" or not Path("/dev/shm").exists()
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as shared:
        file = Path(shared) / "seen"
        file.write_text("still there")
        words = [
            sys.executable,
            "-c",
            "import os, sys; print(open(sys.argv[1]).read(), os.listdir('/dev/shm'))",
        ]
        done = run(isolation.command([*words, str(file)], Walls(through=(folder, Path(shared)))), folder)
    assert done.stdout.startswith("still there "), done.stderr
    if "shm" in isolation.support().enforced and isolation.support().how == "namespaces":
        assert done.stdout == f"still there ['{Path(shared).name}']\n"


@pytest.mark.parametrize("how", ["namespaces", "landlock"])
def test_one_wall_alone(folder: Path, how: str) -> None:
    """Nothing can be written but in one folder; locks work, and the user and /tmp are as they were."""
    on = machine.tried(how)
    if "read-only" in on.missing:
        assert isolation.support().how != how
        return
    found = within(folder, Walls(user=None, shm=True, tmp_mb=None, writable=(folder / "kept",)), on)
    assert found["write kept"] is None
    assert found["lock"] is None
    assert found["user"] == os.getuid()
    assert found["capabilities"].strip("0") == ""
    assert found["write"] is not None
    assert found["write tmp"] is not None
    assert not in_tmp(folder).exists()


def test_who_has_no_rights_at_all_can_put_them_up(folder: Path) -> None:
    """A command within walls has no capability, so a second one inside is put up as by any user."""
    if isolation.support().how != "namespaces":
        assert isolation.support().missing["user"]
        return
    outer = Walls(through=(folder,), tmp_mb=64, read_only=False)
    inner = isolation.command(tries(folder), walls_of(folder, user=USER - 7))
    done = run(isolation.command(inner, outer), folder)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["user"] == unknown_user(USER - 7)
    assert found["write"][:2] == ["OSError", 30]
    assert found["secret"][:2] == ["PermissionError", 13]


def test_landlock_alone_keeps_a_command_from_writing(folder: Path) -> None:
    how = machine.tried("landlock")
    found = within(folder, walls_of(folder), Support("landlock", how.missing))
    if "read-only" in how.missing:
        assert how.missing["read-only"] == "the system has no Landlock"
        return
    assert found["write elsewhere"][:2] == ["PermissionError", 13]
    assert found["write kept"] is None
    assert found["lock"][:2] == ["PermissionError", 13]
    assert found["null"] is None
    assert found["home"] == HOME
    assert {"tmp", "user", "unreadable", "hidden"} <= set(how.missing)
    in_tmp(folder).unlink()


REFUSED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from firstlight.isolation import kernel
user, group = os.geteuid(), os.getegid()
kernel.unshare(kernel.NEW_USER)
for name, text in (("setgroups", "deny"), ("uid_map", f"7 {user} 1"), ("gid_map", f"7 {group} 1")):
    with open(f"/proc/self/{name}", "w") as file:
        file.write(text)
with open("/proc/sys/user/max_user_namespaces", "w") as file:
    file.write("0")
kernel.give_up_capabilities()
from firstlight import isolation
print(isolation.support().how, *isolation.support().warnings(), sep="\\n")
"""


def test_where_namespaces_are_refused_landlock_steps_in_and_it_is_said(folder: Path) -> None:
    """In a user namespace that allows no further one, as Ubuntu and containers do for all."""
    if isolation.support().how != "namespaces":
        assert isolation.support().warnings()
        return
    source = str(Path(isolation.__file__).parents[2])
    done = run([sys.executable, "-I", "-c", REFUSED, source], folder)
    assert done.returncode == 0, done.stderr
    how, *warnings = done.stdout.splitlines()
    assert how in ("landlock", "none")
    text = "\n".join(warnings)
    assert "not enforced here" in text
    assert "does not let a user make namespaces" in text
    assert machine.WALLS["user"] in text


def test_root_does_without_a_namespace_of_users(folder: Path) -> None:
    """As in a privileged container on a system that allows no user namespaces."""
    if isolation.support().how != "namespaces":
        assert isolation.support().warnings()
        return
    as_root = REFUSED.replace('f"7 {', 'f"0 {').replace("kernel.give_up_capabilities()\n", "")
    source = str(Path(isolation.__file__).parents[2])
    done = run([sys.executable, "-I", "-c", as_root, source], folder)
    how, *warnings = done.stdout.splitlines()
    assert how == "namespaces", done.stderr
    assert len(warnings) == 1
    assert warnings[0].startswith(f"not enforced here: {machine.WALLS['user']} (the system refuses")


def test_a_command_that_is_not_there(folder: Path) -> None:
    done = run(isolation.command(["no-such-program"], Walls(through=(folder,))), folder)
    assert done.returncode == 127
    assert done.stderr.startswith("no-such-program cannot be started within walls: ")


def test_walls_that_fall_after_the_trial_let_nothing_run(folder: Path) -> None:
    """As where an administrator forbids namespaces while a server runs."""
    words = wrapped(["true"], Walls(), "namespaces")
    script = REFUSED.partition("from firstlight import isolation")[0] + "os.execv(sys.argv[2], sys.argv[2:])"
    if isolation.support().how != "namespaces":
        assert isolation.support().missing["user"]
        return
    source = str(Path(isolation.__file__).parents[2])
    done = run([sys.executable, "-I", "-c", script, source, *words], folder)
    assert done.returncode == 126
    assert "the walls could not be put up" in done.stderr


def test_arguments_and_exit_codes_pass_through(folder: Path) -> None:
    words = [sys.executable, "-c", "import sys; print(sys.argv[1:]); sys.exit(7)", "a b", "", "é", "--x"]
    done = run(isolation.command(words, Walls(through=(folder,))), folder)
    assert (done.returncode, done.stdout) == (7, "['a b', '', 'é', '--x']\n")


SEAL = """
import sys
sys.path.insert(0, sys.argv[1])
from firstlight.isolation import cutting, kernel
def refuse(*_, **__):
    raise OSError(38, "Function not implemented")
kernel.set_read_only = refuse
import json
walls = json.loads(sys.argv[2])
print(json.dumps(cutting.cut(walls)))
for path in sys.argv[3:]:
    try:
        open(path, "w").close()
        print("written")
    except OSError as error:
        print(error.errno)
"""


def test_systems_before_mount_setattr_are_sealed_mount_by_mount(folder: Path) -> None:
    if isolation.support().how != "namespaces":
        assert isolation.support().missing["user"]
        return
    walls = json.dumps(described(replace(walls_of(folder), tmp_mb=4), "namespaces"))
    source = str(Path(isolation.__file__).parents[2])
    paths = [str(folder / "new"), str(folder / "kept" / "new"), "/tmp/new", "/dev/new", "/usr/new"]
    done = run([sys.executable, "-I", "-c", SEAL, source, walls, *paths], folder)
    assert done.stdout.splitlines() == ["{}", "30", "written", "written", "30", "30"], done.stderr


MOUNTS_REFUSED = """
import sys
sys.path.insert(0, sys.argv[1])
from firstlight.isolation import cutting
def refuse(*_, **__):
    raise PermissionError(13, "Permission denied")
cutting.mount = refuse
import json
print(json.dumps(cutting.cut(json.loads(sys.argv[2]))))
"""


def test_a_system_that_allows_namespaces_and_nothing_in_them(folder: Path) -> None:
    """As Ubuntu does since 24.04 by a profile of AppArmor."""
    walls = json.dumps(described(walls_of(folder), "namespaces"))
    source = str(Path(isolation.__file__).parents[2])
    done = run([sys.executable, "-I", "-c", MOUNTS_REFUSED, source, walls], folder)
    missing = json.loads(done.stdout)
    assert set(missing) == set(NAMES)
    assert len(set(missing.values())) == 1
    assert missing["user"].startswith("the system does not let a user make namespaces (")


def test_the_user_is_one_that_nobody_knows(tmp_path: Path) -> None:
    passwords = tmp_path / "passwd"
    passwords.write_text("root:x:0:0::/root:/bin/sh\na:x:993:1::/:/bin/sh\nb:x:992:1::/:/bin/sh\nbroken\n")
    assert unknown_user(993, passwords) == 991
    assert unknown_user(1, passwords) == 1
    assert unknown_user(993, tmp_path / "none") == 993


def test_what_is_said_where_nothing_can_be_enforced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.sys, "platform", "darwin")
    here = machine.support.__wrapped__()
    assert here.how == "none"
    assert here.enforced == ()
    assert here.sentence() == "no wall can be enforced on this machine; only HOME is as on Lambda"
    assert len(here.warnings()) == 1
    assert "darwin has no namespaces" in here.warnings()[0]


def test_only_walls_that_are_asked_for_are_spoken_of() -> None:
    here = Support("landlock", {"network": "too old", "tmp": "cannot"})
    assert "network" not in here.of(isolation.LAMBDA).enforced
    assert here.of(isolation.LAMBDA).warnings() == [
        "not enforced here: /tmp is new, empty and limited (cannot)"
    ]
    assert len(here.of(Walls(network=False)).warnings()) == 2
    assert "the network is cut" in Support("namespaces", {}).sentence()
    assert "network" not in Support("namespaces", {}).of(isolation.LAMBDA).sentence()


def test_home_is_set_where_no_wall_stands(folder: Path) -> None:
    argv = isolation.command(
        [sys.executable, "-c", "import os; print(os.environ['HOME'])"], Walls(), Support("none", {})
    )
    assert run(argv, folder).stdout == f"{HOME}\n"


def test_names_that_are_not_there() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'roof'"):
        isolation.roof  # noqa: B018
