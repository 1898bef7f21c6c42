// The dock: terminals, logs and the output of operations, as tabs that survive every visit and every reload.

import { announce } from "./announce.js";
import { element } from "./elements.js";
import { icon } from "./icons.js";
import { toast } from "./toast.js";

const STORE = "pilothouse.dock";
const LEAST = 140;
const BAR = 38;
const NAME_LIMIT = 60;

const factories = new Map();
const tabs = []; // {kind, key, title, params, status, handle, pane, button}
let kinds = {};
let shown = []; // keys: one, or two beside each other
let side = 0; // which of the shown ones was used last
let height = 320;
let mode = "open"; // open, collapsed, maximised
let parts = null;
let restoring = false;

const find = (key) => tabs.find((tab) => tab.key === key);
const frame = () => document.getElementById("frame");

function build() {
  const root = document.getElementById("dock");
  const resizer = element("div", {
    class: "dock-resizer",
    role: "separator",
    tabindex: "0",
    "aria-orientation": "horizontal",
    "aria-label": gettext("Height of the dock"),
    "aria-valuemin": LEAST,
  });
  const list = element("div", { class: "dock-tabs", role: "tablist", "aria-label": gettext("Open in the dock") });
  const tool = (name, label, run) =>
    element(
      "button",
      {
        type: "button",
        class: "btn",
        "data-variant": "ghost",
        "data-size": "icon-sm",
        "data-tool": name,
        "aria-label": label,
        title: label,
        on: { click: run },
      },
      icon(name),
    );
  const split = tool("split", gettext("Two tabs side by side"), toggleSplit);
  const maximise = tool("maximize", gettext("Maximise the dock"), () => setMode(mode === "maximised" ? "open" : "maximised"));
  const collapse = tool("collapse", gettext("Collapse the dock"), () => setMode(mode === "collapsed" ? "open" : "collapsed"));
  const close = tool("x", gettext("Close this tab"), () => closeTab(shown[side]));
  split.classList.add("hide-narrow");
  const panes = element("div", { class: "dock-panes" });
  root.replaceChildren(
    resizer,
    element("div", { class: "dock-bar" }, list, element("div", { class: "dock-tools" }, split, maximise, collapse, close)),
    panes,
  );
  list.addEventListener("keydown", onTabKey);
  list.addEventListener("click", onTabClick);
  list.addEventListener("auxclick", (event) => {
    const button = event.target.closest('[role="tab"]');
    if (button && event.button === 1) {
      closeTab(button.dataset.key);
    }
  });
  resizer.addEventListener("pointerdown", startResize);
  resizer.addEventListener("keydown", onResizeKey);
  resizer.addEventListener("dblclick", () => setMode(mode === "maximised" ? "open" : "maximised"));
  new ResizeObserver(resizeShown).observe(panes);
  return { root, resizer, list, panes, split, maximise, collapse };
}

// Height and mode

function most() {
  return Math.max(LEAST, frame().clientHeight - 140);
}

function setHeight(pixels) {
  height = Math.round(Math.min(Math.max(pixels, LEAST), most()));
  layout();
}

function startResize(event) {
  event.preventDefault();
  const from = event.clientY;
  const before = mode === "open" ? height : parts.root.offsetHeight;
  if (mode !== "open") {
    mode = "open";
  }
  parts.resizer.setPointerCapture(event.pointerId);
  const move = (moved) => setHeight(before + from - moved.clientY);
  const end = () => {
    parts.resizer.removeEventListener("pointermove", move);
    parts.resizer.removeEventListener("pointerup", end);
    parts.resizer.removeEventListener("pointercancel", end);
    save();
  };
  parts.resizer.addEventListener("pointermove", move);
  parts.resizer.addEventListener("pointerup", end);
  parts.resizer.addEventListener("pointercancel", end);
}

function onResizeKey(event) {
  const steps = { ArrowUp: 24, ArrowDown: -24, PageUp: 120, PageDown: -120 };
  if (event.key in steps) {
    event.preventDefault();
    mode = "open";
    setHeight(height + steps[event.key]);
    save();
  }
}

function setMode(next) {
  mode = next;
  layout();
  save();
  if (mode !== "collapsed") {
    current()?.handle?.focus?.();
  }
}

function layout() {
  if (!parts) {
    return;
  }
  parts.root.hidden = tabs.length === 0;
  frame().dataset.dock = tabs.length === 0 ? "empty" : mode;
  parts.root.style.setProperty("--dock-height", `${mode === "collapsed" ? BAR : Math.min(height, most())}px`);
  parts.resizer.setAttribute("aria-valuenow", height);
  parts.resizer.setAttribute("aria-valuemax", most());
  relabel(parts.maximise, mode === "maximised", "restore", "maximize", [
    gettext("Back to the former height"),
    gettext("Maximise the dock"),
  ]);
  relabel(parts.collapse, mode === "collapsed", "expand", "collapse", [
    gettext("Open the dock"),
    gettext("Collapse the dock"),
  ]);
  parts.split.setAttribute("aria-pressed", String(shown.length === 2));
  parts.split.disabled = tabs.length < 2;
}

function relabel(button, isOn, drawingOn, drawingOff, [labelOn, labelOff]) {
  const label = isOn ? labelOn : labelOff;
  if (button.title !== label || !button.firstElementChild) {
    button.title = label;
    button.setAttribute("aria-label", label);
  }
  button.replaceChildren(icon(isOn ? drawingOn : drawingOff));
}

function resizeShown() {
  if (mode === "collapsed") {
    return;
  }
  for (const key of shown) {
    find(key)?.handle?.resize?.();
  }
}

// Tabs

function current() {
  return find(shown[side]);
}

function draw(tab) {
  const id = `dock-${++draw.count}`;
  tab.pane = element("div", { class: "dock-pane", role: "tabpanel", id: `${id}-pane`, "aria-labelledby": id, hidden: true });
  tab.pane.addEventListener("focusin", () => {
    const at = shown.indexOf(tab.key);
    if (at >= 0 && at !== side) {
      side = at;
      mark();
    }
  });
  tab.button = element(
    "button",
    { type: "button", role: "tab", class: "dock-tab", id, "aria-controls": `${id}-pane`, "data-key": tab.key },
    icon(tab.kind),
    element("span", { class: "dock-tab-title", text: tab.title }),
    element("span", { class: "dock-tab-status" }),
    // For the mouse; the keyboard has Delete and the dock's own button.
    element("span", { class: "dock-tab-close", "aria-hidden": "true", title: gettext("Close this tab") }, icon("x")),
  );
  parts.list.append(tab.button);
  parts.panes.append(tab.pane);
}
draw.count = 0;

function mark() {
  for (const tab of tabs) {
    const at = shown.indexOf(tab.key);
    tab.button.setAttribute("aria-selected", String(at >= 0 && at === side));
    tab.button.dataset.shown = String(at >= 0);
    tab.button.tabIndex = at === side ? 0 : -1;
    tab.pane.hidden = at < 0;
    tab.pane.style.order = at;
    tab.pane.dataset.current = String(shown.length === 2 && at === side);
  }
  const button = current()?.button;
  if (button) {
    // Not scrollIntoView: that would also move the page.
    const { offsetLeft, offsetWidth } = button;
    if (offsetLeft < parts.list.scrollLeft || offsetLeft + offsetWidth > parts.list.scrollLeft + parts.list.clientWidth) {
      parts.list.scrollLeft = offsetLeft - 24;
    }
  }
  layout();
}

function show(key, { focus = true } = {}) {
  const tab = find(key);
  if (!tab) {
    return;
  }
  const at = shown.indexOf(key);
  if (at >= 0) {
    side = at;
  } else {
    shown[Math.min(side, Math.max(shown.length - 1, 0))] = key;
    side = shown.indexOf(key);
  }
  if (mode === "collapsed" && !restoring) {
    mode = "open";
  }
  mark();
  start(tab);
  requestAnimationFrame(() => {
    resizeShown();
    // The second click of a double click may have opened a field for the tab's name.
    if (focus && !parts.list.querySelector("input")) {
      tab.handle?.focus?.();
    }
  });
  save();
}

// A tab begins its work when it is first seen, so that a reload does not open ten terminals at once; after a reload one
// that holds something open (`wakes`) begins at once, because that would be given up.
async function start(tab) {
  if (tab.started) {
    return;
  }
  tab.started = true;
  tab.pane.setAttribute("aria-busy", "true");
  try {
    if (!factories.has(tab.kind)) {
      await kinds[tab.kind]?.();
    }
    const factory = factories.get(tab.kind);
    if (!factory) {
      throw new Error(`No kind of tab is called ${tab.kind}.`);
    }
    if (!find(tab.key)) {
      return;
    }
    tab.handle = factory(tab.pane, tab.params, tab.face) ?? {};
    if (shown[side] === tab.key && !restoring && document.activeElement?.closest("dialog") === null) {
      tab.handle.focus?.();
    }
  } catch (problem) {
    console.error("A tab could not be opened.", problem);
    tab.pane.replaceChildren(
      element("p", { class: "dock-problem", text: gettext("This tab could not be opened. Reload the page and try again.") }),
    );
  } finally {
    tab.pane.removeAttribute("aria-busy");
  }
}

// Several terminals of one container are told apart by a number.
function distinct(title) {
  const titles = new Set(tabs.map((tab) => tab.title));
  let free = title;
  for (let number = 2; titles.has(free); number += 1) {
    free = `${title} ${number}`;
  }
  return free;
}

function add({ kind, key, title, params }) {
  const tab = { kind, key, title, params: params ?? {}, status: "idle", handle: null, started: false };
  // What a factory may do with its tab.
  tab.face = {
    key,
    setTitle: (text) => dock.title(key, text),
    setStatus: (state) => dock.status(key, state),
    close: () => closeTab(key),
    isShown: () => mode !== "collapsed" && shown.includes(key),
  };
  tabs.push(tab);
  draw(tab);
  return tab;
}

function closeTab(key) {
  const at = tabs.findIndex((tab) => tab.key === key);
  if (at < 0) {
    return;
  }
  const [tab] = tabs.splice(at, 1);
  const hadFocus = tab.pane.contains(document.activeElement) || tab.button.contains(document.activeElement);
  tab.handle?.close?.();
  tab.pane.remove();
  tab.button.remove();
  const place = shown.indexOf(key);
  if (place >= 0) {
    shown.splice(place, 1);
    side = 0;
    const next = tabs.find((other, index) => index >= at && !shown.includes(other.key)) ?? tabs.findLast((other) => !shown.includes(other.key));
    if (shown.length === 0 && next) {
      show(next.key, { focus: hadFocus });
    }
  }
  mark();
  save();
  if (tabs.length === 0) {
    mode = "open";
    layout();
    if (hadFocus) {
      document.querySelector("#main h1, #main")?.focus({ preventScroll: true });
    }
  } else if (hadFocus) {
    current()?.button.focus();
  }
}

function toggleSplit() {
  if (shown.length === 2) {
    shown = [shown[side]];
    side = 0;
  } else {
    const other = tabs.find((tab) => !shown.includes(tab.key));
    if (!other) {
      return;
    }
    shown.push(other.key);
    side = 1;
    start(other);
  }
  mark();
  requestAnimationFrame(resizeShown);
  save();
}

function onTabClick(event) {
  const button = event.target.closest('[role="tab"]');
  if (!button) {
    return;
  }
  if (event.target.closest(".dock-tab-close")) {
    closeTab(button.dataset.key);
  } else if (event.detail === 2 && find(button.dataset.key)?.handle?.rename) {
    rename(find(button.dataset.key));
  } else if (mode === "open" && shown.length === 1 && shown[0] === button.dataset.key && event.detail === 2) {
    setMode("maximised");
  } else {
    show(button.dataset.key);
  }
}

function onTabKey(event) {
  const buttons = tabs.map((tab) => tab.button);
  const at = buttons.indexOf(document.activeElement);
  const goal = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (at >= 0 && goal !== undefined) {
    event.preventDefault();
    const button = buttons.at(goal % buttons.length);
    show(button.dataset.key, { focus: false });
    button.focus();
  } else if (event.key === "Delete" && at >= 0) {
    event.preventDefault();
    closeTab(buttons[at].dataset.key);
  } else if (event.key === "F2" && at >= 0 && tabs[at].handle?.rename) {
    event.preventDefault();
    rename(tabs[at]);
  }
}

// A field in place of the tab, until Enter, Escape or the focus leaves it.
function rename(tab) {
  let isDone = false; // to take the field away takes its focus, too
  const done = (takes) => {
    if (isDone) {
      return;
    }
    isDone = true;
    const title = field.value.trim();
    const hadFocus = document.activeElement === field;
    tab.button.hidden = false;
    field.remove();
    if (takes && title) {
      tab.handle?.rename?.(title);
    }
    if (hadFocus) {
      tab.button.focus();
    }
  };
  const field = element("input", {
    class: "input dock-tab-name",
    value: tab.title,
    maxlength: NAME_LIMIT,
    spellcheck: "false",
    autocomplete: "off",
    "aria-label": gettext("Name of this tab"),
    on: {
      blur: () => done(true),
      keydown: (event) => {
        event.stopPropagation();
        if (event.key === "Enter" || event.key === "Escape") {
          event.preventDefault();
          done(event.key === "Enter");
        }
      },
    },
  });
  tab.button.before(field);
  tab.button.hidden = true;
  field.focus();
  field.select();
}

// Remembering

function save() {
  if (restoring) {
    return;
  }
  const state = {
    person: document.body.dataset.person,
    tabs: tabs.map(({ kind, key, title, params, handle }) => ({ kind, key, title, params: handle?.serialize?.() ?? params })),
    shown,
    side,
    height,
    mode,
  };
  try {
    sessionStorage.setItem(STORE, JSON.stringify(state));
  } catch (problem) {
    console.warn("The dock cannot be remembered.", problem);
  }
}

function restore() {
  let state = null;
  try {
    state = JSON.parse(sessionStorage.getItem(STORE) ?? "null");
  } catch (problem) {
    console.warn("What was remembered of the dock cannot be read.", problem);
  }
  // Somebody else's tabs are nobody's business.
  if (!state || state.person !== document.body.dataset.person) {
    return;
  }
  restoring = true;
  height = Number(state.height) || height;
  mode = ["open", "collapsed", "maximised"].includes(state.mode) ? state.mode : "open";
  for (const tab of state.tabs ?? []) {
    add(tab);
  }
  shown = (state.shown ?? []).filter(find).slice(0, 2);
  if (shown.length === 0 && tabs.length > 0) {
    shown = [tabs[0].key];
  }
  side = Math.min(Number(state.side) || 0, Math.max(shown.length - 1, 0));
  mark();
  shown.forEach((key) => start(find(key)));
  tabs.filter(({ params }) => params.wakes).forEach(start);
  setTimeout(() => {
    restoring = false;
  });
}

export const dock = {
  /** Make a kind of tab known: factory(container, params, tab) returns {focus, resize, close, rename, serialize}. */
  register(kind, factory) {
    factories.set(kind, factory);
  },
  /** Open a tab, or show the one that has this key. */
  open({ kind, key = "", title, params = {} }) {
    const name = key || `${kind}:${JSON.stringify(params)}`;
    if (!(kind in kinds) && !factories.has(kind)) {
      toast({ level: "error", title: gettext("This cannot be opened in the dock"), detail: kind });
      return;
    }
    if (!find(name)) {
      title = distinct(title);
      add({ kind, key: name, title, params });
      announce(interpolate(gettext("%s opened in the dock"), [title]));
    }
    show(name);
  },
  /** Close the tab that has this key. */
  close: closeTab,
  /** Rename a tab. */
  title(key, text) {
    const tab = find(key);
    if (tab) {
      tab.title = text;
      tab.button.querySelector(".dock-tab-title").textContent = text;
      save();
    }
  },
  /** Show how a tab is doing: live, connecting, ended, error or idle. */
  status(key, state) {
    const tab = find(key);
    if (tab) {
      tab.status = state;
      tab.button.dataset.status = state;
    }
  },
  /** Let the page be seen again; the focus stays where it is. */
  makeRoom() {
    if (mode === "maximised") {
      mode = "open";
      layout();
      save();
    }
  },
  /** Remember what the tabs would say of themselves now. */
  save,
};

/** Build the dock, restore its tabs and wire up every data-dock-open. `known` maps kinds to what loads them. */
export function startDock(known) {
  kinds = known;
  parts = build();
  restore();
  layout();
  document.addEventListener("click", (event) => {
    const source = event.target.closest("[data-dock-open]");
    if (!source) {
      return;
    }
    event.preventDefault();
    dock.open({
      kind: source.dataset.dockOpen,
      key: source.dataset.dockKey,
      title: source.dataset.dockTitle ?? source.textContent.trim(),
      params: JSON.parse(source.dataset.dockParams ?? "{}"),
    });
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey && event.code === "Backquote" && tabs.length > 0) {
      event.preventDefault();
      setMode(mode === "collapsed" ? "open" : "collapsed");
    }
  });
  window.addEventListener("pagehide", save);
  window.addEventListener("resize", layout);
}
