"""The page in Chromium: what a newcomer does in the first minutes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from serving import Server

PATIENCE = 30_000


def ask(page: Page) -> None:
    page.get_by_role("button", name="Ask", exact=True).click()
    page.locator("#answer .answer").wait_for(timeout=PATIENCE)


def test_the_first_endpoint_answers(page: Page, server: Server) -> None:
    page.goto(server.url)
    expect(page).to_have_title("sentiment · firstlight")
    ask(page)
    expect(page.locator(".scores li").first).to_contain_text("POSITIVE")
    expect(page.locator(".scores li .figure").first).to_have_text(re.compile(r"\d+\.\d%"))
    expect(page.locator(".timing")).to_contain_text("ms")
    width = page.locator(".scores li").first.locator("rect.fill").bounding_box()
    assert width is not None
    assert width["width"] > 100


def test_a_cold_start_is_told_apart_from_a_warm_answer(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/endpoints/echo")
    state = page.locator('.endpoints a[aria-current="page"] .state')
    expect(state).to_have_attribute("title", "asleep")
    page.get_by_label("Event").fill('{"do": "nothing"}')
    ask(page)
    expect(page.locator(".badge")).to_have_text("cold start")
    expect(page.locator(".legend")).to_contain_text("Waking the worker")
    expect(state).to_have_attribute("title", "awake")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".badge")).to_have_text("warm", timeout=PATIENCE)


def test_a_waiting_state_is_shown_while_an_endpoint_wakes(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/endpoints/router")
    held = []
    page.route("**/endpoints/router", lambda route: held.append(route))  # noqa: PLW0108 - it wants a function of Python
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".waiting")).to_contain_text("Waking router")
    expect(page.locator("#answer")).to_have_attribute("aria-busy", "true")
    held[0].continue_()
    page.locator("#answer .answer").wait_for(timeout=PATIENCE)
    expect(page.locator("#answer")).not_to_have_attribute("aria-busy", "true")


def test_the_answer_to_a_question_is_marked_in_its_context(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/endpoints/qa")
    page.get_by_label("Question", exact=True).fill("Who found the lantern?")
    page.get_by_label("Context", exact=True).fill("The lantern was found in the old boat house by Clara.")
    ask(page)
    expect(page.locator(".headline")).to_have_text("Clara")
    expect(page.locator(".context mark")).to_have_text("Clara")


def test_sentences_are_compared_and_the_other_tasks_are_links(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/endpoints/embeddings")
    ask(page)
    expect(page.locator(".scores li")).to_have_count(3)
    page.get_by_role("link", name="zero shot classification").click()
    ask(page)
    expect(page.locator(".scores .best")).to_contain_text("sport")


def test_the_keyboard_is_enough(page: Page, server: Server) -> None:
    page.goto(server.url)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.get_by_label("Text").focus()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("I waited an hour and nobody came. Dreadful.")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".scores .best")).to_contain_text("NEGATIVE", timeout=PATIENCE)


def test_an_example_fills_the_form_and_asks(page: Page, server: Server) -> None:
    page.goto(server.url)
    page.get_by_role("button", name="Let down").click()
    page.locator("#answer .answer").wait_for(timeout=PATIENCE)
    assert "soup" in page.get_by_label("Text").input_value()


def test_errors_are_explained(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/endpoints/echo")
    page.get_by_label("Event").fill("{not json")
    ask(page)
    expect(page.locator(".failed .headline")).to_contain_text("the event is not JSON")
    page.get_by_label("Event").fill('{"do": "raise"}')
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".failed .headline")).to_have_text("boom", timeout=PATIENCE)
    page.get_by_text("Stack trace").click()
    expect(page.locator(".failed pre")).to_contain_text("in handler")


def test_a_server_that_is_gone_is_said_so(context: BrowserContext, server: Server) -> None:
    page = context.new_page()
    page.goto(server.url)
    page.route("**/endpoints/*", lambda route: route.abort())
    ask(page)
    expect(page.locator(".failed .headline")).to_contain_text("cannot be reached")


def test_text_of_a_user_is_never_markup(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/endpoints/qa")
    page.get_by_label("Question", exact=True).fill("Who?")
    page.get_by_label("Context", exact=True).fill(
        'Found by Clara <img src=x onerror="document.title=1"></textarea><script>1</script>'
    )
    ask(page)
    expect(page.locator(".context")).to_contain_text("<img src=x")
    assert page.locator("#answer img").count() == 0
    expect(page).to_have_title("qa · firstlight")


def test_without_a_script_the_form_still_works(browser: Browser, server: Server) -> None:
    plain = browser.new_context(java_script_enabled=False)
    page = plain.new_page()
    page.goto(server.url)
    ask(page)
    expect(page.locator(".scores .best")).to_contain_text("POSITIVE")
    expect(page.get_by_label("Text")).to_have_value(re.compile("lovely day"))
    plain.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 800, 1400])
def test_nothing_is_wider_than_the_screen_and_text_can_be_read(
    browser: Browser, server: Server, scheme: str, width: int
) -> None:
    sized = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    page = sized.new_page()
    for path in ("/", "/endpoints/qa", "/endpoints/embeddings", "/docs", "/go", "/nowhere"):
        page.goto(server.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page.goto(f"{server.url}/endpoints/qa")
    ask(page)
    assert page.evaluate(CONTRASTS) == []
    sized.close()


CONTRASTS = """() => {
  const parse = (text) => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const low = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.checkVisibility() || node.closest("svg, .skip, .hidden")) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(ground(node))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push(`${node.tagName}.${node.className} ${ratio.toFixed(2)}`);
  }
  return low;
}"""


def test_everything_has_a_name_for_a_screen_reader(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/endpoints/qa")
    page.get_by_text("Parameters").click()
    unnamed = page.evaluate("""() =>
        [...document.querySelectorAll("input:not([type=hidden]), textarea, select, button, a")]
        .filter((node) => !(node.labels?.length || node.ariaLabel || node.textContent.trim()))
        .map((node) => node.outerHTML)""")
    assert unnamed == []
    assert page.locator("h1").count() == 1
    assert page.locator("main").count() == 1
    expect(page.locator("#answer")).to_have_attribute("aria-live", "polite")
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_the_code_can_be_copied(context: BrowserContext, page: Page, server: Server) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(server.url)
    page.get_by_text("Use it from code").click()
    page.get_by_role("button", name="Copy the curl code").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").startswith(
        f"curl -s {server.url}/models/sentiment"
    )


def test_the_router_form(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/go")
    page.get_by_label("Endpoint").select_option("router")
    page.get_by_label("Text").fill("hello")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#answer pre")).to_contain_text("Invocation successful", timeout=PATIENCE)


def test_the_documentation(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/docs")
    page.get_by_text("/models/qa", exact=True).click()
    expect(page.locator("details[open]")).to_contain_text("max_answer_len")


def test_a_token_is_given_once(context: BrowserContext, guarded: Server) -> None:
    page = context.new_page()
    page.goto(guarded.url)
    expect(page.get_by_label("Token")).to_be_visible()
    page.get_by_label("Token").fill("s3cret")
    page.get_by_role("button", name="Open").click()
    page.wait_for_url(guarded.url + "/")
    ask(page)
    expect(page.locator(".scores .best")).to_contain_text("POSITIVE")
    assert "s3cret" not in page.url
    page.goto(f"{guarded.url}/endpoints/qa")
    expect(page).to_have_title("qa · firstlight")


def test_another_sites_page_gets_nothing(context: BrowserContext, server: Server) -> None:
    page = context.new_page()
    page.route(
        "http://evil.example/",
        lambda route: route.fulfill(body="<title>evil</title>", content_type="text/html"),
    )
    page.goto("http://evil.example/")
    before = _invocations(server)
    sent = f"fetch('{server.url}/models/sentiment', {{method: 'POST', body: '{{\"inputs\": \"x\"}}', mode: 'no-cors'}})"
    page.evaluate(f"{sent}.then(() => 1, () => 0)")
    assert _invocations(server) == before
    status = page.evaluate(f"fetch('{server.url}/health').then((r) => r.status, () => 'refused')")
    assert status == "refused"


def _invocations(server: Server) -> list[bytes]:
    return re.findall(
        rb'firstlight_invocations_total{endpoint="sentiment".*', server.ask("GET", "/metrics")[2]
    )
