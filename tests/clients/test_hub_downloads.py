"""Downloads of the hub in processes of their own: killed at any moment, several at once on one cache."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from firstlight.testing.hub import Hub, local_hub

SIZE, PIECE = 8_000_000, 64 << 10
MODEL = "ada/tiny/model.safetensors"
KILLS = 10

OURS = """
import sys
from firstlight.build import hub
from firstlight.build.types import Silent
class Told(Silent):
    def say(self, text):
        print(text, flush=True)
found = hub.look(hub.parse("ada/tiny"))
print(hub.fetch(found, found.files, Told()), flush=True)
"""
THE_LIBRARYS = """
import huggingface_hub
print(huggingface_hub.snapshot_download("ada/tiny"), flush=True)
"""


@dataclass
class Place:
    hub: Hub
    cache: Path
    content: bytes
    environment: dict[str, str]

    def start(self, script: str = OURS) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", script],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )

    def partial(self) -> Path | None:
        return next(self.cache.glob("models--ada--tiny/blobs/*.incomplete"), None)

    def there(self) -> int:
        partial = self.partial()
        return partial.stat().st_size if partial else 0

    def check(self, running: subprocess.Popen[str]) -> str:
        """What a process that is to end well said; its last line is the folder, which is whole."""
        out, errors = running.communicate(timeout=60)
        assert running.returncode == 0, errors
        folder = Path(out.splitlines()[-1])
        assert (folder / "model.safetensors").read_bytes() == self.content
        assert (folder / "config.json").read_text() == "{}"
        assert self.partial() is None
        return out


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    folder = tmp_path / "hub" / "ada" / "tiny"
    folder.mkdir(parents=True)
    content = random.Random(4).randbytes(SIZE)
    (folder / "model.safetensors").write_bytes(content)
    (folder / "config.json").write_text("{}")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_"))}
    with local_hub(tmp_path / "hub") as hub:
        here = {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "home"),
            "XDG_CACHE_HOME": str(tmp_path / "own"),
        }
        yield Place(
            hub, tmp_path / "home" / "hub", content, kept | here | {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        )


def sent_more_than(place: Place, count: int) -> Callable[[], bool]:
    return lambda: place.hub.sent(MODEL) >= count


def test_ten_kills(place: Place) -> None:
    """No byte is fetched twice but those that were on their way when the process was killed."""
    place.hub.faults.add(MODEL, bytes_per_second=4_000_000, times=KILLS)
    moments = sorted(random.Random(7).sample(range(1, SIZE - 10 * PIECE), KILLS))
    begun = [0]
    for moment in moments:
        running = place.start()
        place.hub.wait(sent_more_than(place, max(moment, place.hub.sent(MODEL) + 1)))
        running.send_signal(signal.SIGKILL)
        running.communicate()
        begun.append(place.there())
        partial = place.partial()
        assert partial is None or place.content.startswith(partial.read_bytes())
    place.check(place.start())
    fetched = place.hub.fetched(MODEL)
    assert [each.range for each in fetched] == [f"bytes={start}-" if start else "" for start in begun]
    torn = [
        start + each.sent - end for start, end, each in zip(begun, [*begun[1:], SIZE], fetched, strict=True)
    ]
    assert all(0 <= lost <= 4 * PIECE for lost in torn), torn
    assert torn[-1] == 0


def test_two_processes_download_once(place: Place) -> None:
    held = place.hub.faults.add(MODEL, hold=100_000)
    first = place.start()
    place.hub.wait(sent_more_than(place, 100_000))
    second = place.start()
    assert second.stdout is not None
    assert second.stdout.readline() == f"another process is at {MODEL}; waiting for it\n"
    held.release()
    place.check(first)
    place.check(second)
    assert place.hub.sent(MODEL) == SIZE


def test_who_waits_goes_on_where_the_other_was_killed(place: Place) -> None:
    place.hub.faults.add(MODEL, hold=1_000_000)
    first = place.start()
    place.hub.wait(sent_more_than(place, 1_000_000))
    second = place.start()
    assert second.stdout is not None
    assert "waiting for it" in second.stdout.readline()
    first.kill()
    first.communicate()
    place.check(second)
    assert place.hub.sent(MODEL) <= SIZE + 4 * PIECE
    assert place.hub.fetched(MODEL)[-1].range.startswith("bytes=")


def test_the_library_waits_for_us_and_we_for_it(place: Place) -> None:
    held = place.hub.faults.add(MODEL, hold=100_000)
    ours = place.start()
    place.hub.wait(sent_more_than(place, 100_000))
    other = place.start(THE_LIBRARYS)
    place.hub.wait(
        lambda: any(
            "huggingface" in each.agent or "hf_hub" in each.agent
            for each in place.hub.requests
            if each.method == "HEAD"
        )
    )
    held.release()
    place.check(ours)
    place.check(other)
    assert place.hub.sent(MODEL) == SIZE


def test_an_interrupt_ends_it_and_keeps_what_is_there(place: Place) -> None:
    place.hub.faults.add(MODEL, bytes_per_second=2_000_000)
    running = place.start()
    place.hub.wait(sent_more_than(place, 500_000))
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=30)
    assert running.returncode not in (0, None)
    assert place.there() > 400_000
    place.check(place.start())
    assert place.hub.sent(MODEL) <= SIZE + 4 * PIECE
