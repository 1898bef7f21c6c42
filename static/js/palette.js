// Ctrl+K: jump to anything, or run a command.

const WAIT = 110;
let controller = null;
let timer = 0;
let numbers = 0;

const dialog = () => document.getElementById("palette");
const input = () => document.getElementById("palette-input");
const found = () => document.getElementById("palette-found");

function options() {
  return [...dialog().querySelectorAll('[role="option"]')].filter((option) => option.offsetParent !== null);
}

function select(option) {
  for (const other of dialog().querySelectorAll('[role="option"][aria-selected="true"]')) {
    other.setAttribute("aria-selected", "false");
  }
  if (!option) {
    input().removeAttribute("aria-activedescendant");
    return;
  }
  option.id ||= `palette-option-${(numbers += 1)}`;
  option.setAttribute("aria-selected", "true");
  option.scrollIntoView({ block: "nearest" });
  input().setAttribute("aria-activedescendant", option.id);
}

function selected() {
  return dialog().querySelector('[role="option"][aria-selected="true"]');
}

function filterOwn(query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  for (const group of dialog().querySelectorAll("[data-palette-static]")) {
    let any = false;
    for (const option of group.querySelectorAll('[role="option"]')) {
      const text = option.textContent.toLowerCase();
      option.hidden = !words.every((word) => text.includes(word));
      any ||= !option.hidden;
    }
    group.hidden = !any;
  }
}

function showEmpty() {
  const isEmpty = options().length === 0;
  document.getElementById("palette-empty").hidden = !isEmpty || input().value.trim() === "";
}

async function search(query) {
  controller?.abort();
  controller = new AbortController();
  try {
    const url = new URL(document.body.dataset.searchUrl, location.origin);
    url.searchParams.set("q", query);
    const answer = await fetch(url, { headers: { "HX-Request": "true" }, signal: controller.signal });
    if (answer.headers.has("HX-Redirect")) {
      location.assign(answer.headers.get("HX-Redirect"));
      return;
    }
    if (!answer.ok) {
      return;
    }
    // Our own server's mark-up, escaped there; scripts in it would not run under our policy.
    found().innerHTML = await answer.text();
    for (const option of found().querySelectorAll('[role="option"]')) {
      option.tabIndex = -1;
    }
    htmx.process(found());
  } catch (problem) {
    if (problem.name !== "AbortError") {
      console.warn("The search failed.", problem);
    }
    return;
  }
  if (!selected() || selected().closest("[data-palette-static]")) {
    select(options()[0]);
  }
  showEmpty();
}

function onInput() {
  const query = input().value.trim();
  filterOwn(query);
  clearTimeout(timer);
  if (query === "") {
    controller?.abort();
    found().replaceChildren();
  } else {
    timer = setTimeout(() => search(query), WAIT);
  }
  select(options()[0]);
  showEmpty();
}

function onKey(event) {
  const all = options();
  const present = all.indexOf(selected());
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    const step = event.key === "ArrowDown" ? 1 : -1;
    select(all[(present + step + all.length) % all.length]);
  } else if (event.key === "Enter" && !event.isComposing) {
    event.preventDefault();
    selected()?.click();
  }
}

function open() {
  if (dialog().open) {
    dialog().close();
    return;
  }
  input().value = "";
  found().replaceChildren();
  filterOwn("");
  dialog().showModal();
  input().focus();
  select(options()[0]);
  showEmpty();
}

/** Wire up the palette. */
export function startPalette() {
  document.addEventListener("keydown", (event) => {
    // Inside a terminal Ctrl+K belongs to the shell.
    const isShortcut = (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.code === "KeyK";
    if (isShortcut && !event.target.closest?.(".xterm")) {
      event.preventDefault();
      open();
    } else if (event.key === "/" && !event.target.closest?.("input, textarea, select, .xterm, [contenteditable]")) {
      const box = document.querySelector("#main input[type=search]");
      if (box) {
        event.preventDefault();
        box.focus();
        box.select();
      }
    }
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-palette-open]")) {
      open();
    } else if (event.target.closest('#palette [role="option"]')) {
      setTimeout(() => dialog().close());
    }
  });
  dialog().addEventListener("pointermove", (event) => {
    const option = event.target.closest('[role="option"]');
    if (option && option !== selected()) {
      select(option);
    }
  });
  input().addEventListener("input", onInput);
  input().addEventListener("keydown", onKey);
}
