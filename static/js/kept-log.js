// A page of a kept log: its lines get their colours, its times the reader's zone, and it opens where one wants to read.

import { dress, runs } from "./ansi.js";
import { element } from "./elements.js";
import { inOwnZone, zoneName } from "./time.js";

function colour(text) {
  const parts = runs(text.dataset.raw).map(({ text: part, style }) => {
    const run = element("span", { text: part });
    dress(run, style);
    return run;
  });
  text.replaceChildren(...parts);
  text.removeAttribute("data-raw");
}

export function mount(place) {
  for (const text of place.querySelectorAll("[data-raw]")) {
    colour(text);
  }
  for (const clock of place.querySelectorAll("time[data-clock]")) {
    clock.textContent = inOwnZone(Date.parse(clock.dateTime)).slice(0, 19);
    clock.title = interpolate(gettext("In your time zone: %s"), [zoneName()]);
  }
  const lines = place.querySelector(".kept-lines");
  const current = lines.querySelector("[data-current]");
  if (current) {
    current.scrollIntoView({ block: "center" });
  } else if (!new URLSearchParams(location.search).has("at") && !/[?&](after|edge=first)/.test(location.search)) {
    lines.scrollTop = lines.scrollHeight; // the last lines are what one comes for
  }
}
