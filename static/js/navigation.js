// Visits inside the console: only #main is replaced, so the dock and its streams live on.

import { announce } from "./announce.js";
import { dock } from "./dock.js";
import { csrfToken } from "./elements.js";
import { toast } from "./toast.js";

const MAIN = /<main[^>]*\sid="main"/;
const positions = new Map();
let visit = null;
let from = location.href;
let barTimer = 0;

const content = () => document.getElementById("content");

// Only a target of its own keeps a link from being a visit; one that it inherits was meant for its neighbours.
function isVisit(detail) {
  const source = detail.elt ?? detail.requestConfig?.elt;
  return Boolean(detail.boosted) && !source?.hasAttribute("hx-target");
}

// The thin line on top; visits that answer at once never show it.
function startBar() {
  clearTimeout(barTimer);
  const bar = document.getElementById("load-bar");
  delete bar.dataset.done;
  barTimer = setTimeout(() => {
    bar.dataset.active = "";
  }, 150);
}

function endBar() {
  clearTimeout(barTimer);
  const bar = document.getElementById("load-bar");
  if ("active" in bar.dataset) {
    delete bar.dataset.active;
    bar.dataset.done = "";
  }
}

function markCurrent() {
  const path = location.pathname;
  const links = [...document.querySelectorAll("[data-nav]")];
  const reach = (link) => {
    const prefix = new URL(link.href).pathname;
    return path === prefix || (prefix !== "/" && path.startsWith(prefix)) ? prefix.length : 0;
  };
  const furthest = Math.max(...links.map(reach));
  for (const link of links) {
    if (furthest > 0 && reach(link) === furthest) {
      link.setAttribute("aria-current", "page");
    } else {
      link.removeAttribute("aria-current");
    }
  }
  for (const field of document.querySelectorAll("[data-current-path]")) {
    field.value = path + location.search;
  }
}

// On a phone the tabs of an object do not all fit.
function showCurrentTab() {
  for (const tab of document.querySelectorAll(".tabbar [aria-current]")) {
    const bar = tab.parentElement;
    bar.scrollLeft = tab.offsetLeft - (bar.clientWidth - tab.offsetWidth) / 2;
  }
}

const isSamePage = () => new URL(from).pathname === location.pathname;

function arrive(source) {
  markCurrent();
  showCurrentTab();
  const main = document.getElementById("main");
  const samePage = isSamePage();
  from = location.href;
  if (!samePage) {
    dock.makeRoom();
  }
  const errors = main.querySelector(".form-errors");
  if (errors) {
    errors.focus();
    errors.scrollIntoView({ block: "nearest" });
    return;
  }
  if (samePage) {
    return;
  }
  content().scrollTop = 0;
  const target = main.querySelector("[autofocus]") ?? sameTab(main, source) ?? main.querySelector("h1") ?? main;
  target.focus({ preventScroll: true });
  announce(document.title);
}

// Somebody who walks along the tabs of an object stays on the tabs.
function sameTab(main, source) {
  if (!source?.matches?.(".tabbar a")) {
    return null;
  }
  return [...main.querySelectorAll(".tabbar a")].find((link) => link.href === source.href) ?? null;
}

/** Return what an answer says about a problem: {title, message, next_step}, or null. */
export function readProblem(text, type = "") {
  if (type.includes("json")) {
    try {
      const problem = JSON.parse(text);
      return problem.title ? problem : null;
    } catch {
      return null;
    }
  }
  const found = new DOMParser().parseFromString(text, "text/html").querySelector("[data-problem]");
  return found
    ? { title: found.dataset.problemTitle, message: found.dataset.problemMessage, next_step: found.dataset.problemNext }
    : null;
}

function showFailure(xhr) {
  const problem = readProblem(xhr.responseText ?? "", xhr.getResponseHeader("Content-Type") ?? "");
  toast({
    level: "error",
    title: problem?.title ?? interpolate(gettext("The console answered with an error (%s)"), [xhr.status]),
    detail: problem?.message ?? "",
    next: problem?.next_step ?? gettext("Try again. If it stays, look into the console's log."),
  });
}

function showSilence() {
  toast({
    level: "error",
    title: gettext("The console does not answer"),
    detail: gettext("Your request may not have arrived."),
    next: gettext("Check your connection and that the console is running, then try again."),
  });
}

function beforeSwap(event) {
  const { detail } = event;
  if (!isVisit(detail)) {
    return;
  }
  const { xhr } = detail;
  if (MAIN.test(xhr.responseText)) {
    // A page about an error is a page like any other.
    detail.shouldSwap = true;
    detail.isError = false;
    detail.target = document.getElementById("main");
    detail.selectOverride = "#main";
    detail.swapOverride = "outerHTML";
    return;
  }
  detail.shouldSwap = false;
  if (xhr.status < 400 || detail.requestConfig.verb === "get") {
    // The sign-in page, a file, an error that could not be framed: the browser shows it itself.
    detail.isError = false;
    location.assign(xhr.responseURL || detail.pathInfo.responsePath || detail.pathInfo.requestPath);
  }
}

/** Make visits swap #main, and say what went wrong when one fails. */
export function startNavigation() {
  history.scrollRestoration = "manual";
  markCurrent();
  showCurrentTab();

  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.verb !== "get") {
      event.detail.headers["X-CSRFToken"] = csrfToken();
    }
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    const { detail } = event;
    if (!isVisit(detail)) {
      return;
    }
    // Whoever clicks twice wants the second page.
    if (visit && visit !== detail.xhr) {
      visit.abort();
    }
    visit = detail.requestConfig.verb === "get" ? detail.xhr : null;
    positions.set(location.href, content().scrollTop);
    startBar();
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (isVisit(event.detail)) {
      if (visit === event.detail.xhr) {
        visit = null;
      }
      endBar();
    }
  });
  document.addEventListener("htmx:beforeSwap", beforeSwap);
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id === "main") {
      arrive(event.detail.requestConfig?.elt);
    }
  });
  document.addEventListener("htmx:responseError", (event) => showFailure(event.detail.xhr));
  document.addEventListener("htmx:sendError", showSilence);
  document.addEventListener("htmx:timeout", showSilence);

  // Back and forward fetch the page anew: what it shows may have changed since.
  window.addEventListener("popstate", () => positions.set(from, content().scrollTop), true);
  document.addEventListener("htmx:historyCacheMiss", startBar);
  document.addEventListener("htmx:historyCacheMissLoadError", () => location.reload());
  document.addEventListener("htmx:historyCacheMissLoad", (event) => {
    if (!MAIN.test(event.detail.response)) {
      location.reload();
    }
  });
  document.addEventListener("htmx:historyRestore", () => {
    endBar();
    if (!isSamePage()) {
      dock.makeRoom();
    }
    from = location.href;
    markCurrent();
    showCurrentTab();
    content().scrollTop = positions.get(location.href) ?? 0;
    document.querySelector("#main h1")?.focus({ preventScroll: true });
    announce(document.title);
  });
}
