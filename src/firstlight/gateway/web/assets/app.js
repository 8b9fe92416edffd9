// The pages work without this: it only puts an answer in place instead of loading the page again, fills examples in,
// copies code, and says what is being waited for.
import { ask, askRouter, stop } from "./ask.js";

const form = document.querySelector("form[data-endpoint], form[data-router]");

if (form) {
  const submit = form.hasAttribute("data-router") ? askRouter : ask;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(form);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
}

document.addEventListener("click", async (event) => {
  const chip = event.target.closest("[data-fill]");
  if (chip) fill(JSON.parse(chip.dataset.fill));
  if (event.target.closest(".stop")) stop();
  const copy = event.target.closest(".copy");
  if (copy) await copied(copy);
});

function fill(values) {
  for (const [name, value] of Object.entries(values)) {
    const field = form.elements.namedItem(name);
    if (field) field.value = value;
  }
  form.requestSubmit();
}

async function copied(button) {
  const code = button.parentElement.querySelector("code").textContent;
  try {
    await navigator.clipboard.writeText(code);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(button.parentElement.querySelector("code"));
    button.textContent = "Selected";
  }
  setTimeout(() => (button.textContent = "Copy"), 1600);
}
