// Live parts of a page: the server says what changed, never the data; each part asks for itself through the front door.

import { morph } from "./morph.js";
import { swapped } from "./swaps.js";

const REST = 1000;
const POLL = 10000;
const PATIENCE = 3000;
const BODIES = "tbody, [data-live-body]";

const parts = new WeakMap(); // element -> {timer, last, busy, again, held}
const heard = new Map(); // topic -> when it last changed
const asked = new WeakMap(); // request of htmx -> when it began
const canHover = window.matchMedia("(hover: hover)").matches;
let socket = null;
let isConnected = false; // to the signals, not just to the console: an open socket may have none to tell
let failures = 0;
let reconnectTimer = 0;
let chipTimer = 0;
let missed = false;
let chip = null;
let chipPart = null;

const all = () => [...document.querySelectorAll("[data-live]")];
// What came last may have been the last: a part without topics is nobody's any more, but the browser's.
const isLive = (part) => part.isConnected && part.hasAttribute("data-live");

function stateOf(part) {
  let state = parts.get(part);
  if (!state) {
    state = { timer: 0, last: 0, busy: false, again: false, held: false };
    parts.set(part, state);
  }
  return state;
}

// Somebody is in the middle of something inside.
function isInUse(part) {
  if (part.querySelector(".menu:popover-open, dialog[open]") || part.contains(document.activeElement?.closest("select"))) {
    return true;
  }
  const menus = [...document.querySelectorAll(".menu:popover-open")];
  if (menus.length > 0 && part.querySelector('[data-menu-url][aria-expanded="true"]')) {
    return true;
  }
  const selection = document.getSelection();
  return Boolean(selection && !selection.isCollapsed && part.contains(selection.anchorNode));
}

function isUnderPointer(part) {
  return canHover && part.dataset.liveHover !== "apply" && part.querySelector(`:is(${BODIES}):hover`) !== null;
}

function schedule(part) {
  const state = stateOf(part);
  if (state.busy) {
    state.again = true;
    return;
  }
  if (!state.timer) {
    state.timer = setTimeout(() => {
      state.timer = 0;
      refresh(part);
    }, Math.max(0, state.last + REST - Date.now()));
  }
}

async function refresh(part) {
  const state = stateOf(part);
  if (!isLive(part)) {
    return;
  }
  if (document.hidden) {
    missed = true;
    return;
  }
  if (isInUse(part)) {
    hold(part);
    return;
  }
  state.busy = true;
  state.again = false;
  state.last = Date.now();
  try {
    const fresh = await ask(part);
    if (fresh && isLive(part)) {
      apply(part, fresh);
    }
  } catch (problem) {
    // The connection chip says it; the next message or poll tries again.
    console.debug("A live refresh failed.", problem);
  } finally {
    state.busy = false;
    state.last = Date.now();
  }
  if (state.again && isLive(part)) {
    schedule(part);
  }
}

async function ask(part) {
  const url = new URL(part.dataset.liveUrl || location.pathname + location.search, location.origin);
  const answer = await fetch(url, {
    headers: { "HX-Request": "true", "HX-Target": part.id, "HX-Current-URL": location.href, "X-Live": "true" },
    signal: AbortSignal.timeout(20000),
  });
  if (answer.headers.has("HX-Redirect")) {
    location.assign(answer.headers.get("HX-Redirect"));
    return null;
  }
  if (answer.status === 404) {
    return { isGone: true };
  }
  if (!answer.ok) {
    return null;
  }
  const parsed = document.createElement("template");
  parsed.innerHTML = await answer.text();
  const chosen = parsed.content.querySelector(part.dataset.liveSelect || `#${CSS.escape(part.id)}`);
  return chosen ? { style: "outerHTML", nodes: [chosen] } : { style: "innerHTML", nodes: [...parsed.content.children] };
}

function apply(part, fresh) {
  if (isInUse(part)) {
    hold(part);
    return;
  }
  if (!fresh.isGone && isUnderPointer(part) && !isSameOrder(part, fresh)) {
    // Rows may tell their news, but none appears, leaves or moves.
    const incoming = rowsOf(fresh.nodes);
    for (const row of rowsOf([part])) {
      const news = incoming.find((candidate) => candidate.id === row.id);
      if (news) {
        morph(row, [news.cloneNode(true)], "outerHTML");
        htmx.process(row);
      }
    }
    swapped(part);
    hold(part);
    return;
  }
  release(part);
  show(part, fresh);
}

function show(part, fresh) {
  if (fresh.isGone) {
    bury(part);
    return;
  }
  morph(part, fresh.nodes, fresh.style);
  htmx.process(part);
  swapped(part);
}

// What the page is about exists no more: what made sense only while it did leaves, and the page says so.
function bury(part) {
  const main = part.closest("main");
  const words = main?.querySelector("template[data-gone]");
  if (!words) {
    return;
  }
  const hadFocus = main.contains(document.activeElement);
  main.querySelectorAll(".page-actions, [data-while-it-exists]").forEach((stale) => stale.remove());
  main.querySelectorAll("[data-live]").forEach((last) => last.removeAttribute("data-live"));
  words.replaceWith(words.content.cloneNode(true));
  if (hadFocus && !main.contains(document.activeElement)) {
    main.querySelector("h1").focus({ preventScroll: true });
  }
  htmx.process(main);
  swapped(main);
}

function rowsOf(nodes) {
  return nodes.flatMap((node) => [...node.querySelectorAll(`:is(${BODIES}) > [id]`)]);
}

function isSameOrder(part, fresh) {
  const ids = (nodes) => rowsOf(nodes).map((row) => row.id).join(" ");
  return ids([part]) === ids(fresh.nodes);
}

// News wait for the pointer to leave, for the menu to close; a small button lets them in at once.
function hold(part) {
  const state = stateOf(part);
  if (state.held) {
    return;
  }
  state.held = true;
  showChip(part);
  const retry = () => {
    if (!part.isConnected) {
      clearInterval(timer);
      hideChip(part);
    } else if (!isInUse(part) && !isUnderPointer(part)) {
      clearInterval(timer);
      if (state.held) {
        release(part);
        schedule(part);
      }
    }
  };
  const timer = setInterval(retry, 250);
  state.retryTimer = timer;
}

function release(part) {
  const state = stateOf(part);
  clearInterval(state.retryTimer);
  state.held = false;
  hideChip(part);
}

function showChip(part) {
  if (chip?.isConnected || !part.querySelector(BODIES)) {
    return;
  }
  chip = document.createElement("button");
  chip.type = "button";
  chip.className = "live-waiting";
  chip.textContent = gettext("Updates are waiting");
  chip.title = gettext("The list changes when the pointer leaves it, or now.");
  const box = part.getBoundingClientRect();
  const shown = document.getElementById("content").getBoundingClientRect();
  chip.style.left = `${box.left + box.width / 2}px`;
  chip.style.top = `${Math.max(box.top, shown.top) + 10}px`;
  chip.style.translate = "-50% 0";
  chip.addEventListener("click", async () => {
    release(part);
    const fresh = await ask(part);
    if (fresh && isLive(part)) {
      show(part, fresh);
    }
  });
  document.body.append(chip);
  chipPart = part;
}

function hideChip(part) {
  if (chip && chipPart === part) {
    chip.remove();
    chip = null;
  }
}

function refreshAll() {
  missed = false;
  all().forEach(schedule);
}

const topicsOf = (part) => part.dataset.live.split(/\s+/);

function onMessage(event) {
  const message = JSON.parse(event.data);
  if (message.type === "listening") {
    isConnected = true;
    failures = 0;
    clearTimeout(chipTimer);
    chipTimer = 0;
    showConnection("");
    // Something may have changed since the page was made, or while the socket was away.
    refreshAll();
  }
  if (message.type !== "changed") {
    return;
  }
  const topics = new Set(message.topics);
  for (const topic of topics) {
    heard.set(topic, performance.now());
  }
  document.dispatchEvent(new CustomEvent("live:changed", { detail: { topics: message.topics } }));
  for (const part of all()) {
    if (topicsOf(part).some((topic) => topics.has(topic))) {
      schedule(part);
    }
  }
}

// What came with an answer may be older than the news that came while it was on its way.
function onArrival(event) {
  const since = asked.get(event.detail.xhr);
  if (since === undefined) {
    return;
  }
  for (const part of all()) {
    if (topicsOf(part).some((topic) => heard.get(topic) >= since)) {
      schedule(part);
    }
  }
}

function awaitSignals() {
  isConnected = false;
  if (!chipTimer) {
    chipTimer = setTimeout(() => showConnection(gettext("Reconnecting…")), PATIENCE);
  }
}

function connect() {
  clearTimeout(reconnectTimer);
  socket?.close();
  awaitSignals();
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(`${scheme}//${location.host}/ws/live/`);
  const mine = socket;
  mine.addEventListener("message", onMessage);
  mine.addEventListener("close", () => {
    if (socket !== mine) {
      return;
    }
    awaitSignals();
    failures += 1;
    const pause = Math.min(8000, 400 * 2 ** Math.min(failures, 6)) * (0.7 + Math.random() * 0.6);
    reconnectTimer = setTimeout(connect, pause);
  });
}

function showConnection(text) {
  const place = document.getElementById("connection");
  if (place) {
    place.hidden = text === "";
    place.querySelector("span").textContent = text;
  }
}

/** Keep every element with data-live up to date. */
export function startLive() {
  connect();
  document.addEventListener("htmx:beforeRequest", (event) => asked.set(event.detail.xhr, performance.now()));
  document.addEventListener("htmx:afterSettle", onArrival);
  setInterval(() => {
    if (!document.hidden && !isConnected) {
      refreshAll();
    }
  }, POLL);
  setInterval(() => {
    if (document.hidden) {
      return;
    }
    const now = Date.now();
    for (const part of document.querySelectorAll("[data-live-poll]")) {
      if (now - stateOf(part).last >= Number(part.dataset.livePoll) * 1000) {
        schedule(part);
      }
    }
  }, 1000);
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) {
      if (missed) {
        refreshAll();
      }
      if (!isConnected && socket.readyState >= WebSocket.CLOSING) {
        connect();
      }
    }
  });
  window.addEventListener("online", () => {
    if (!isConnected) {
      connect();
    }
  });
}
