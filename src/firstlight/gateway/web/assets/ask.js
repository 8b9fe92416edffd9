// Sends a form and shows what comes back. One question at a time: a new one takes the place of the one before.
let running = null;

export async function ask(form) {
  const endpoint = form.dataset.endpoint;
  const fields = new URLSearchParams(new FormData(form));
  const prompt = form.dataset.stream === "after" ? fields.get("inputs") + fields.get("before") : "";
  for (const name of ["parameters.continuation", "before"]) {
    const field = form.elements.namedItem(name);
    if (field) field.value = "";
  }
  await show(form, form.dataset.awake === "yes" ? "" : `Waking ${endpoint}`, async (signal, place) => {
    const wanted = form.hasAttribute("data-stream") ? "stream" : "answer";
    const headers = { "X-Fragment": wanted, "Content-Type": "application/x-www-form-urlencoded;charset=UTF-8" };
    const response = await post(form, fields.toString(), headers, signal);
    if (!response.ok) throw new Error(reason(await response.text(), response.status));
    form.dataset.awake = "yes";
    markAwake();
    const streamed = response.headers.get("content-type")?.startsWith("text/event-stream");
    const html = streamed ? await speak(response, place, prompt) : await response.text();
    return [...new DOMParser().parseFromString(html, "text/html").body.childNodes];
  });
}

export function stop() {
  running?.abort();
}

export async function askRouter(form) {
  await show(form, "", async (signal) => {
    const body = JSON.stringify(Object.fromEntries(new FormData(form)));
    const response = await post(form, body, { "Content-Type": "application/json" }, signal);
    const pre = document.createElement("pre");
    pre.tabIndex = 0;
    pre.textContent = JSON.stringify(await response.json(), null, 2);
    return [pre];
  });
}

// On AWS CloudFront signs what it sends on by a hash that only the page can make; elsewhere nobody looks at it.
async function post(form, body, headers, signal) {
  if (crypto.subtle) {
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(body));
    const digits = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0"));
    headers["x-amz-content-sha256"] = digits.join("");
  }
  return fetch(form.action, { method: "POST", body, headers, signal });
}

// Shows text as it arrives and returns the markup that the last event brings.
async function speak(response, place, prompt) {
  const words = element("p", "written");
  const box = element("div", "answer speaking", element("h2", "", "Answer"), words);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error("The answer broke off.");
    const parts = (held + value).split("\n\n");
    held = parts.pop();
    for (const part of parts) {
      const event = JSON.parse(part.slice("data:".length));
      if (event.html !== undefined) return event.html;
      if (!box.isConnected) {
        words.append(element("span", "prompt", prompt));
        place(box);
      }
      words.append(event.text);
    }
  }
}

async function show(form, waking, send) {
  running?.abort();
  const mine = (running = new AbortController());
  const answer = document.getElementById("answer");
  const button = form.querySelector(".ask");
  const stopper = form.querySelector(".stop");
  button.setAttribute("aria-disabled", "true");
  answer.setAttribute("aria-busy", "true");
  // An answer that comes at once should not flicker through a waiting state.
  const timer = setTimeout(() => answer.replaceChildren(waiting(waking)), waking ? 60 : 250);
  const place = (...nodes) => {
    clearTimeout(timer);
    if (mine === running) answer.replaceChildren(...nodes);
  };
  if (stopper) stopper.hidden = false;
  try {
    place(...(await send(mine.signal, place)));
  } catch (error) {
    if (error.name !== "AbortError") place(failed(error));
    else if (mine === running) stopped(answer, place);
  } finally {
    clearTimeout(timer);
    if (mine === running) {
      if (stopper) stopper.hidden = true;
      button.removeAttribute("aria-disabled");
      answer.removeAttribute("aria-busy");
    }
  }
}

// What was said until it was stopped stays.
function stopped(answer, place) {
  const words = element("p", "hint", "Stopped.");
  const box = answer.querySelector(".speaking");
  if (box) box.append(words);
  else place(words);
}

function element(name, className, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

function waiting(waking) {
  const words = element("div", "");
  words.append(element("b", "", waking ? `${waking} …` : "Thinking …"));
  words.append(element("span", "hint", waking ? "It was asleep. The first answer takes a moment, the next ones do not." : "Still working on it."));
  const dawn = element("span", "dawn");
  dawn.setAttribute("aria-hidden", "true");
  return element("div", "waiting", dawn, words);
}

function failed(error) {
  const message = error instanceof TypeError ? "The server cannot be reached. Is it still running?" : error.message;
  return element("div", "answer failed", element("h2", "", "No answer"), element("p", "headline", message));
}

function reason(text, status) {
  const heading = new DOMParser().parseFromString(text, "text/html").querySelector("h1");
  return heading ? heading.textContent : `The server answered with status ${status}.`;
}

function markAwake() {
  const state = document.querySelector('.endpoints a[aria-current="page"] .state');
  if (!state) return;
  state.className = "state awake";
  state.title = "awake";
  const words = state.parentElement.querySelector(".state-text");
  if (words) words.textContent = ", awake";
}
