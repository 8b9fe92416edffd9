// Sends a form and shows what comes back. One question at a time: a new one takes the place of the one before.
let running = null;

export async function ask(form) {
  const endpoint = form.dataset.endpoint;
  await show(form, form.dataset.awake === "yes" ? "" : `Waking ${endpoint}`, async (signal) => {
    const response = await fetch(form.action, {
      method: "POST",
      body: new URLSearchParams(new FormData(form)),
      headers: { "X-Fragment": "answer" },
      signal,
    });
    const text = await response.text();
    if (!response.ok) throw new Error(reason(text, response.status));
    form.dataset.awake = "yes";
    markAwake();
    const parsed = new DOMParser().parseFromString(text, "text/html");
    return [...parsed.body.childNodes];
  });
}

export async function askRouter(form) {
  await show(form, "", async (signal) => {
    const response = await fetch(form.action, {
      method: "POST",
      body: JSON.stringify(Object.fromEntries(new FormData(form))),
      headers: { "Content-Type": "application/json" },
      signal,
    });
    const pre = document.createElement("pre");
    pre.tabIndex = 0;
    pre.textContent = JSON.stringify(await response.json(), null, 2);
    return [pre];
  });
}

async function show(form, waking, send) {
  running?.abort();
  const mine = (running = new AbortController());
  const answer = document.getElementById("answer");
  const button = form.querySelector(".ask");
  button.setAttribute("aria-disabled", "true");
  answer.setAttribute("aria-busy", "true");
  // An answer that comes at once should not flicker through a waiting state.
  const timer = setTimeout(() => answer.replaceChildren(waiting(waking)), waking ? 60 : 250);
  try {
    const nodes = await send(mine.signal);
    if (mine === running) answer.replaceChildren(...nodes);
  } catch (error) {
    if (mine === running && error.name !== "AbortError") answer.replaceChildren(failed(error));
  } finally {
    clearTimeout(timer);
    if (mine === running) {
      button.removeAttribute("aria-disabled");
      answer.removeAttribute("aria-busy");
    }
  }
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
