// The indicator in the top bar tells how long operations of the reader ended. Quick ones were told by the page itself.

import { toast } from "./toast.js";

const STORE = "pilothouse.operations";
const LEVELS = { succeeded: "success", failed: "error", cancelled: "info" };

function remembered() {
  try {
    return new Set(JSON.parse(sessionStorage.getItem(STORE) ?? "[]"));
  } catch (problem) {
    console.warn("Running operations cannot be remembered.", problem);
    return new Set();
  }
}

const running = remembered();

function words(state, title) {
  const texts = {
    succeeded: gettext("%s: done"),
    failed: gettext("%s: failed"),
    cancelled: gettext("%s: cancelled"),
  };
  return interpolate(texts[state], [title]);
}

function look(place) {
  for (const row of place.querySelectorAll("[data-operation]")) {
    const { operation, state, title, detail, next, url } = row.dataset;
    if (!(state in LEVELS)) {
      if ("mine" in row.dataset) {
        running.add(operation);
      }
    } else if (running.delete(operation) && "news" in row.dataset && location.pathname !== url) {
      const action = { label: gettext("Show what happened"), href: url };
      toast({ level: LEVELS[state], title: words(state, title), detail, next, action });
    }
  }
  sessionStorage.setItem(STORE, JSON.stringify([...running].slice(-100)));
}

/** Watch the indicator for operations that end. */
export function mount(place) {
  const observer = new MutationObserver(() => look(place));
  observer.observe(place, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-state"] });
  look(place);
  return () => observer.disconnect();
}
