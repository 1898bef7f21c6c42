// Relative times that tick; the absolute time is their title.

import { onSwap } from "./swaps.js";

const language = document.documentElement.lang || "en";
const relative = new Intl.RelativeTimeFormat(language, { numeric: "always" });
const absolute = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
const UNITS = [
  ["year", 31557600],
  ["month", 2629800],
  ["week", 604800],
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
];

/** Return how long ago (or ahead) `moment` is, in words. */
export function ago(moment, now = Date.now()) {
  const seconds = Math.round((moment - now) / 1000);
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length) {
      return relative.format(Math.trunc(seconds / length), unit);
    }
  }
  return gettext("just now");
}

/** Return `moment` in full, in the reader's own time. */
export function inFull(moment) {
  return absolute.format(moment);
}

/** Return `moment` to the millisecond, in the reader's own time and the same for every language. */
export function inOwnZone(moment) {
  const date = new Date(moment);
  const own = new Date(moment - date.getTimezoneOffset() * 60000);
  return own.toISOString().slice(0, 23).replace("T", " ");
}

/** Return what the reader's time zone is called, and how far it was from UTC at `moment`. */
export function zoneName(moment = Date.now()) {
  const parts = new Intl.DateTimeFormat(language, { timeZoneName: "longOffset" }).formatToParts(moment);
  const offset = parts.find((part) => part.type === "timeZoneName").value;
  return `${absolute.resolvedOptions().timeZone} (${offset})`;
}

function tick(root) {
  for (const shown of root.querySelectorAll("time[data-relative]")) {
    const moment = Date.parse(shown.dateTime);
    if (Number.isNaN(moment)) {
      continue;
    }
    const words = ago(moment);
    if (shown.textContent !== words) {
      shown.textContent = words;
    }
    if (!shown.dataset.titled) {
      shown.title = inFull(moment);
      shown.dataset.titled = "true";
    }
  }
}

/** Keep every <time data-relative> of the page right. */
export function startTime() {
  onSwap((root) => tick(root.parentElement ?? root));
  setInterval(() => {
    if (!document.hidden) {
      tick(document);
    }
  }, 15000);
}
