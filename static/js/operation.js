// One operation: its output stays at the end while the reader is there; in the dock its tab shows how it is doing.

import { dock } from "./dock.js";
import { element } from "./elements.js";

const STATUS = { queued: "connecting", running: "live", succeeded: "ended", failed: "error", cancelled: "ended" };
const NEAR = 24;

/** Keep the output of an operation's page or panel at its last line, unless the reader scrolled up. */
export function mount(place) {
  let follows = true;
  const lines = () => place.querySelector("[data-tail]");
  const onScroll = (event) => {
    const box = event.target;
    if (box === lines()) {
      follows = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
    }
  };
  const toEnd = () => {
    const box = lines();
    if (box && follows) {
      box.scrollTop = box.scrollHeight;
    }
  };
  place.addEventListener("scroll", onScroll, true);
  const observer = new MutationObserver(toEnd);
  observer.observe(place, { childList: true, characterData: true, subtree: true });
  toEnd();
  return () => {
    observer.disconnect();
    place.removeEventListener("scroll", onScroll, true);
  };
}

function open(pane, params, tab) {
  const place = element("div", { class: "dock-operation" });
  pane.append(place);
  const tell = () => {
    const shown = place.querySelector("[data-operation-state]");
    if (shown) {
      tab.setStatus(STATUS[shown.dataset.operationState] ?? "idle");
    }
  };
  const observer = new MutationObserver(tell);
  observer.observe(place, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-operation-state"] });
  htmx.ajax("GET", `/operations/${encodeURIComponent(params.operation)}/panel/`, { target: place, swap: "innerHTML" });
  return {
    focus: () => place.querySelector("[data-tail], a, button")?.focus({ preventScroll: true }),
    close: () => observer.disconnect(),
  };
}

dock.register("operation", open);
