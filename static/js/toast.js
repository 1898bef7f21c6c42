// Messages in a corner of the page: what happened, why, and what to do next.

import { element } from "./elements.js";
import { icon } from "./icons.js";
import { onSwap } from "./swaps.js";

const STAY = { success: 5000, info: 6000, warning: 10000, error: 0 };
const MOST = 4;

/**
 * Show a message. `level` is success, info, warning or error (which stays until closed); `detail` says the cause, `next`
 * the next step; `action` is {label, href} or {label, run}. The same title twice replaces the first.
 */
export function toast({ level = "info", title, detail = "", next = "", action = null, stay = STAY[level] ?? 6000 }) {
  const region = document.getElementById("toasts");
  if (!region) {
    return;
  }
  for (const other of [...region.children]) {
    if (other.dataset.title === title) {
      other.remove();
    }
  }
  const close = () => leave(notice);
  const notice = element(
    "div",
    { class: "notice", "data-level": level, "data-title": title, role: level === "error" ? "alert" : "status" },
    icon(level),
    element(
      "div",
      { class: "notice-body" },
      element("p", { class: "notice-title", text: title }),
      detail ? element("p", { class: "notice-detail", text: detail }) : null,
      next ? element("p", { class: "notice-next", text: next }) : null,
      action ? actionButton(action, close) : null,
    ),
    element(
      "button",
      {
        type: "button",
        class: "btn notice-close",
        "data-variant": "ghost",
        "data-size": "icon-xs",
        "aria-label": gettext("Close"),
        on: { click: close },
      },
      icon("x"),
    ),
  );
  region.append(notice);
  while (region.children.length > MOST) {
    region.firstElementChild.remove();
  }
  raise(region);
  expire(notice, stay);
}

function actionButton(action, close) {
  const attributes = { class: "btn notice-action", "data-variant": "outline", "data-size": "xs", text: action.label };
  if (action.href) {
    const link = element("a", { ...attributes, href: action.href, on: { click: close } });
    htmx.process(link);
    return link;
  }
  const run = () => {
    close();
    action.run();
  };
  return element("button", { ...attributes, type: "button", on: { click: run } });
}

// Shown anew each time: what came last into the browser's top layer lies above open dialogs.
function raise(region) {
  if (region.matches(":popover-open")) {
    region.hidePopover();
  }
  region.showPopover();
}

function expire(notice, stay) {
  if (!stay) {
    return;
  }
  let timer = setTimeout(() => leave(notice), stay);
  const hold = () => clearTimeout(timer);
  const release = () => {
    hold();
    timer = setTimeout(() => leave(notice), 2000);
  };
  notice.addEventListener("pointerenter", hold);
  notice.addEventListener("pointerleave", release);
  notice.addEventListener("focusin", hold);
  notice.addEventListener("focusout", release);
}

function leave(notice) {
  notice.dataset.leaving = "";
  setTimeout(() => {
    const region = notice.parentElement;
    notice.remove();
    if (region && region.children.length === 0 && region.matches(":popover-open")) {
      region.hidePopover();
    }
  }, 220);
}

/** Listen for the server's toasts (console/lib/htmx.py) and turn Django's messages in the page into toasts. */
export function startToasts() {
  document.addEventListener("toasts", (event) => {
    for (const item of event.detail.items ?? []) {
      toast({ ...item, action: item.url ? { label: item.label, href: item.url } : null });
    }
  });
  onSwap(() => {
    for (const list of document.querySelectorAll("[data-messages]")) {
      for (const line of list.children) {
        const level = line.dataset.level === "debug" ? "info" : line.dataset.level;
        toast({ level, title: line.textContent.trim() });
      }
      list.remove();
    }
  });
}
