// Terminals in a page and in the dock. One moves from the page to the dock while it runs.

import { dock } from "./dock.js";
import { recall } from "./terminal-memory.js";
import { TerminalView } from "./terminal-view.js";

/** Terminals that are on the screen, by key, so that a page and the dock can hand one over without a break. */
const running = new Map();

function viewOf(params) {
  const known = running.get(params.key);
  if (known) {
    return known;
  }
  const view = new TerminalView(params);
  running.set(view.key, view);
  view.begin();
  return view;
}

function close(view) {
  running.delete(view.key);
  view.close();
}

/** In a page: the terminal opens by itself, and moves to the dock when the reader goes elsewhere. */
export function mount(place) {
  const { host, container, name, kind, tty } = place.dataset;
  let view = null;
  const start = (params) => {
    view = viewOf({ host, container, name, kind: "exec", ...params });
    view.place(place.querySelector("[data-place]"), null);
    for (const choice of place.querySelectorAll("[data-open-kind]")) {
      choice.setAttribute("aria-pressed", String(choice.dataset.openKind === (view.params.kind ?? "exec")));
    }
  };
  for (const choice of place.querySelectorAll("[data-open-kind]")) {
    choice.addEventListener("click", () => {
      if (view && !view.tab) {
        close(view);
      }
      start({ kind: choice.dataset.openKind });
    });
  }
  const before = recall({ host, container });
  if (before) {
    start(before); // before a reload
  } else if (kind !== "none" && tty !== "never") {
    start({});
  }
  return () => {
    if (view && !view.tab) {
      if (view.session && !view.hasEnded) {
        view.moveToDock();
      } else {
        close(view);
      }
    }
  };
}

dock.register("terminal", (container, params, tab) => {
  const view = viewOf({ ...params, key: tab.key });
  view.place(container, tab);
  return {
    focus: () => view.focus(),
    resize: () => view.resize(),
    close: () => close(view),
    rename: (title) => view.rename(title),
    serialize: () => view.serialize(),
  };
});
