"""Generated text in Chromium: as it comes, stopped, and carried on after its deadline."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from serving import Server

sys.path.append(str(Path(__file__).parents[1] / "clients"))

from talking import write_project

PATIENCE = 30_000
STORY = "Once upon a time there was a king who had three daughters. "


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(write_project(tmp_path_factory.mktemp("talking"))) as running:
        yield running


def ask(page: Page, server: Server, endpoint: str, prompt: str) -> None:
    page.goto(f"{server.url}/endpoints/{endpoint}")
    page.get_by_label("Text").fill(prompt)
    page.get_by_role("button", name="Ask", exact=True).click()


def test_text_appears_before_the_answer_is_complete(page: Page, server: Server) -> None:
    ask(page, server, "slow", STORY * 3)
    words = page.locator(".speaking .written")
    expect(words).to_contain_text(f"{STORY * 3}On", timeout=PATIENCE)
    early = words.inner_text()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    page.locator(".timing").wait_for(timeout=PATIENCE)
    whole = page.locator(".answer .written").inner_text()
    assert whole.startswith(early)
    assert len(whole) > len(early)
    assert page.locator(".timeline .tick").count() >= len(STORY)
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()


def test_it_can_be_stopped(page: Page, server: Server) -> None:
    ask(page, server, "slow", STORY * 20)
    expect(page.locator(".speaking .written")).to_contain_text(f"{STORY * 20}On", timeout=PATIENCE)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".speaking")).to_contain_text("Stopped.")
    expect(page.locator("#answer")).not_to_have_attribute("aria-busy", "true")
    ask(page, server, "slow", "a")
    page.locator(".timing").wait_for(timeout=PATIENCE)


def test_an_answer_goes_on_after_its_deadline(page: Page, server: Server) -> None:
    prompt = "déjà vu, said the parrot, " * 3 + "and flew away"
    ask(page, server, "hasty", prompt)
    page.locator(".timing").wait_for(timeout=PATIENCE)
    parts = 1
    while page.get_by_role("button", name="Go on").count():
        page.get_by_role("button", name="Go on").click()
        parts += 1
        expect(page.locator("#answer")).not_to_have_attribute("aria-busy", "true", timeout=PATIENCE)
    expect(page.locator(".answer .written")).to_have_text(prompt + prompt)
    assert parts > 1
