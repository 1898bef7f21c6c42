// Ctrl+K: jump to anything, or run a command.

const WAIT = 110;
let controller = null;
let timer = 0;
let numbers = 0;
// The lines are not yet those of what was typed; whether Enter was pressed meanwhile.
let isStale = false;
let isAwaited = false;

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

function search(query) {
  const url = new URL(document.body.dataset.searchUrl, location.origin);
  url.searchParams.set("q", query);
  return find(url);
}

async function find(url) {
  controller?.abort();
  controller = new AbortController();
  try {
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
  isStale = false;
  if (isAwaited) {
    isAwaited = false;
    selected()?.click();
  }
}

function onInput() {
  const query = input().value.trim();
  isStale = query !== "";
  isAwaited = false;
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

// The lines make way for what can be done with the chosen one; typing brings them back.
function offerActions(option) {
  clearTimeout(timer);
  for (const group of dialog().querySelectorAll("[data-palette-static]")) {
    group.hidden = true;
  }
  find(option.dataset.actionsUrl);
}

function run(option) {
  // From the body: the option may have gone before the answer comes.
  htmx.ajax("POST", option.dataset.postUrl, { target: "#palette-found", swap: "none" });
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
    // Who types quickly means what he typed, not what stood there before.
    isAwaited = isStale && !selected()?.closest("[data-palette-static]");
    if (!isAwaited) {
      selected()?.click();
    }
  } else if (event.key === "Tab" && !event.shiftKey && selected()?.dataset.actionsUrl) {
    event.preventDefault();
    offerActions(selected());
  }
}

function open() {
  if (dialog().open) {
    dialog().close();
    return;
  }
  input().value = "";
  isStale = false;
  isAwaited = false;
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
      return;
    }
    const option = event.target.closest('#palette [role="option"]');
    if (option?.dataset.postUrl) {
      run(option);
    }
    if (option) {
      setTimeout(() => dialog().close());
    }
  });
  // A dialog that opens next gives the focus back to where the palette gives it, not into the palette.
  document.addEventListener(
    "click",
    (event) => {
      if (event.target.closest("#palette [data-dialog-url]")) {
        dialog().close();
      }
    },
    true,
  );
  dialog().addEventListener("pointermove", (event) => {
    const option = event.target.closest('[role="option"]');
    if (option && option !== selected()) {
      select(option);
    }
  });
  input().addEventListener("input", onInput);
  input().addEventListener("keydown", onKey);
}
