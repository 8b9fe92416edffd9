"""The events of a job as a browser's own EventSource reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext

from serving import Server, write_project

FOLLOW = """
name => new Promise((resolve) => {
  const said = [], source = new EventSource(`/v1/jobs/${name}/stream`);
  const take = (event) => said.push([event.type, Number(event.lastEventId), JSON.parse(event.data)]);
  for (const kind of ["start", "output", "log", "metric", "completed"]) source.addEventListener(kind, take);
  // It connects again by itself, and gives up when it is told that nothing more will come.
  source.onerror = () => { if (source.readyState === EventSource.CLOSED) resolve(said); };
})
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """One of its own: pages are tested on endpoints that nobody has woken."""
    with Server(write_project(tmp_path / "jobs")) as running:
        yield running


def test_an_event_source_reads_each_event_once_and_ends(server: Server, context: BrowserContext) -> None:
    wish = {"endpoint": "echo", "input": {"do": "stream"}}
    assert server.ask("PUT", "/v1/jobs/seen", wish)[0] == 202
    page = context.new_page()
    page.goto(server.url)
    said = page.evaluate(FOLLOW, "seen")
    assert [number for _, number, _ in said] == list(range(1, len(said) + 1))
    assert (said[0][0], said[-1][0], said[-1][2]["status"]) == ("start", "completed", "succeeded")
    assert "".join(told["text"] for kind, _, told in said if kind == "output") == "first light"
