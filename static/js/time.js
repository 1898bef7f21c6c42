// Times that tick: how long ago something was, with the absolute time as title, and how long something goes on.

import { onSwap } from "./swaps.js";

const language = document.documentElement.lang || "en";
const relative = new Intl.RelativeTimeFormat(language, { numeric: "always" });
const absolute = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
const counted = new WeakMap(); // element -> {from, since, words}: what the server counted, when it came, what we wrote
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

// The words of age_words in console/lib/templatetags/components.py.
function inShort(moment) {
  const seconds = Math.max(0, Math.floor((Date.now() - moment) / 1000));
  if (seconds < 60) {
    return interpolate(gettext("%s s"), [seconds]);
  }
  if (seconds < 3600) {
    return interpolate(gettext("%s min"), [Math.floor(seconds / 60)]);
  }
  if (seconds < 2 * 86400) {
    return interpolate(gettext("%s h"), [Math.floor(seconds / 3600)]);
  }
  if (seconds < 730 * 86400) {
    return interpolate(gettext("%s d"), [Math.floor(seconds / 86400)]);
  }
  return interpolate(gettext("%s y"), [Math.floor(seconds / (365 * 86400))]);
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
    const words = shown.dataset.relative === "short" ? inShort(moment) : ago(moment);
    if (shown.textContent !== words) {
      shown.textContent = words;
    }
    if (!shown.dataset.titled) {
      shown.title = inFull(moment);
      shown.dataset.titled = "true";
    }
  }
}

// The words of time_words in console/lib/templatetags/components.py.
function lasting(seconds) {
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1) {
    return interpolate(gettext("%s s"), [seconds]);
  }
  if (minutes < 60) {
    return interpolate(gettext("%(minutes)s min %(seconds)s s"), { minutes, seconds: seconds % 60 }, true);
  }
  return interpolate(gettext("%(hours)s h %(minutes)s min"), { hours: Math.floor(minutes / 60), minutes: minutes % 60 }, true);
}

// The server says how much has passed; from there the browser counts, so that two clocks need not agree.
function count(root) {
  const now = performance.now();
  for (const shown of root.querySelectorAll("time[data-elapsed]")) {
    const from = shown.dataset.elapsed;
    let start = counted.get(shown);
    // Words that are not ours came with a new answer, be its number that of the last one.
    if (start?.from !== from || start.words !== shown.firstChild.data) {
      start = { from, since: now };
      counted.set(shown, start);
    }
    start.words = lasting(Number(from) + Math.floor((now - start.since) / 1000));
    // The text node itself: who watches for new elements is not woken every second.
    if (shown.firstChild.data !== start.words) {
      shown.firstChild.data = start.words;
    }
  }
}

/** Keep every <time data-relative> and <time data-elapsed> of the page right. */
export function startTime() {
  onSwap((root) => {
    tick(root.parentElement ?? root);
    count(root.parentElement ?? root);
  });
  setInterval(() => {
    if (!document.hidden) {
      count(document);
    }
  }, 1000);
  setInterval(() => {
    if (!document.hidden) {
      tick(document);
    }
  }, 15000);
}
