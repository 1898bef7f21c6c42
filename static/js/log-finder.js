// Search over whole logs: the server looks, what it finds is listed here, and a click shows the place.

import { plain } from "./ansi.js";
import { announce } from "./announce.js";
import { element } from "./elements.js";
import { nanoseconds } from "./log-line.js";
import { inOwnZone } from "./time.js";

const CONTEXTS = [0, 2, 5];
/** Milliseconds after which a search is asked for again when two others of the person were running. */
const RETRY = 700;

function keyOf(source, moment) {
  return `${source.target.container}|${moment}`;
}

export class LogFinder {
  /**
   * `sources()` are the logs to look into, `part()` is {stdout, stderr}, `nameOf(source)` what stands before its lines;
   * `onFound()` is called when more is known to be marked, `onShow(hit)` to show a hit.
   */
  constructor({ sources, part, nameOf, onFound, onShow }) {
    this.sources = sources;
    this.part = part;
    this.nameOf = nameOf;
    this.onFound = onFound;
    this.onShow = onShow;
    this.pending = null;
    this.build();
    this.clear();
  }

  build() {
    this.field = element("input", {
      class: "input",
      type: "search",
      name: "q",
      maxlength: "500",
      placeholder: gettext("Search the whole log"),
      "aria-label": gettext("Search the whole log"),
      spellcheck: "false",
      autocomplete: "off",
      on: { input: () => this.field.value === "" && this.clear() },
    });
    this.pattern = this.toggle(".*", gettext("Regular expression"), "regex");
    this.matchCase = this.toggle("Aa", gettext("Match case"), "case");
    this.context = element("select", {
      class: "select",
      "aria-label": gettext("Lines around each"),
      title: gettext("Lines around each"),
      on: { change: () => this.query && this.search() },
    });
    for (const count of CONTEXTS) {
      const text = count ? interpolate(gettext("± %s lines"), [count]) : gettext("only the lines");
      this.context.append(element("option", { value: count, text }));
    }
    this.go = element("button", { type: "submit", class: "btn", "data-size": "xs", "data-name": "search", text: gettext("Search") });
    this.stop = this.button(gettext("Stop"), "stop", () => this.end(gettext("Stopped.")));
    this.previous = this.button(gettext("Previous"), "previous", () => this.step(-1));
    this.next = this.button(gettext("Next"), "next", () => this.step(1));
    this.close = this.button(gettext("Close the results"), "close", () => this.leave());
    this.status = element("span", { class: "muted small num", role: "status" });
    this.root = element(
      "form",
      { class: "stream-search", role: "search", on: { submit: (event) => this.onSubmit(event) } },
      this.field,
      this.pattern,
      this.matchCase,
      this.context,
      this.go,
      this.stop,
      this.previous,
      this.next,
      this.status,
      this.close,
    );
    this.list = element("ol", { class: "logs-hits", "aria-label": gettext("What was found"), tabindex: "-1" });
    this.more = this.button(gettext("Search on"), "more", () => this.run(this.left));
    this.results = element("div", { class: "logs-results", hidden: true }, this.list, this.more);
  }

  button(text, name, run) {
    return element("button", {
      type: "button",
      class: "btn",
      "data-variant": "ghost",
      "data-size": "xs",
      "data-name": name,
      text,
      on: { click: run },
    });
  }

  toggle(text, label, name) {
    const made = this.button(text, name, () => {
      made.setAttribute("aria-pressed", String(made.getAttribute("aria-pressed") !== "true"));
      if (this.query) {
        this.search();
      }
    });
    made.title = label;
    made.setAttribute("aria-label", label);
    made.setAttribute("aria-pressed", "false");
    return made;
  }

  // Asking

  onSubmit(event) {
    event.preventDefault();
    const isSame = this.query && this.query.text === this.field.value;
    if (isSame && this.hits.length > 0) {
      this.step(1);
    } else {
      this.search();
    }
  }

  clear() {
    this.pending?.abort();
    this.pending = null;
    this.query = null;
    this.hits = [];
    this.found = new Map(); // container and moment -> hits
    this.current = -1;
    this.looked = 0;
    this.left = [];
    this.field.removeAttribute("aria-invalid");
    this.list.replaceChildren();
    this.results.hidden = true;
    this.say("");
    this.show();
    this.onFound();
  }

  leave() {
    this.field.value = "";
    this.clear();
    this.field.focus();
  }

  search() {
    this.clear();
    const text = this.field.value;
    if (!text) {
      return;
    }
    this.query = {
      text,
      isPattern: this.pattern.getAttribute("aria-pressed") === "true",
      matchesCase: this.matchCase.getAttribute("aria-pressed") === "true",
      context: Number(this.context.value),
    };
    this.onFound();
    this.run(this.sources().map((source) => ({ source, more: null })));
  }

  // One log after the other; where it stopped, "search on" begins.
  async run(left) {
    const pending = new AbortController();
    this.pending = pending;
    this.left = [];
    this.show();
    for (const { source, more } of left) {
      const next = await this.ask(source, more, pending.signal);
      if (this.pending !== pending) {
        return;
      }
      if (next) {
        this.left.push({ source, more: next });
      }
    }
    this.end("");
  }

  end(remark) {
    this.pending?.abort();
    this.pending = null;
    this.tell(remark);
    this.show();
  }

  // Returns where to go on, if there is more.
  async ask(source, more, signal) {
    const { text, isPattern, matchesCase, context } = this.query;
    const query = new URLSearchParams({ host: source.target.host, container: source.target.container, q: text });
    const flags = { regex: isPattern, case: matchesCase };
    for (const [name, isOn] of Object.entries(flags)) {
      if (isOn) {
        query.set(name, "on");
      }
    }
    if (context) {
      query.set("before", String(context));
      query.set("after", String(context));
    }
    for (const channel of ["stdout", "stderr"]) {
      if (!this.part()[channel]) {
        query.set(channel, "false");
      }
    }
    if (more) {
      query.set("more", more);
    }
    try {
      let answer = await fetch(`/terminals/logs/search/?${query}`, { signal, headers: { Accept: "application/json" } });
      if (answer.status === 429) {
        // The one before was only just let go of, perhaps.
        await new Promise((resolve) => setTimeout(resolve, RETRY));
        answer = await fetch(`/terminals/logs/search/?${query}`, { signal, headers: { Accept: "application/json" } });
      }
      if (!answer.ok) {
        this.refuse(await answer.json());
        return null;
      }
      return await this.read(answer, source);
    } catch (error) {
      if (error.name !== "AbortError") {
        this.fail(gettext("The search broke off; the console did not answer."));
      }
      return null;
    }
  }

  async read(answer, source) {
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const before = this.looked;
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        throw new Error("the answer ended early");
      }
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        const row = JSON.parse(line);
        if (row.type === "progress") {
          this.looked = before + row.lines;
          this.tell();
        } else if (row.type === "end") {
          this.looked = before + (row.lines ?? 0);
          return this.onEnd(row);
        } else {
          this.put(row, source);
        }
      }
    }
  }

  onEnd(row) {
    if (row.reason === "costly") {
      this.fail(gettext("This regular expression takes too long; write it without large repeats."));
    } else if (row.reason === "failed") {
      this.fail(row.message);
    }
    return row.more;
  }

  refuse(problem) {
    this.fail(problem.errors ? Object.values(problem.errors)[0] : (problem.message ?? problem.title));
  }

  fail(sentence) {
    this.field.setAttribute("aria-invalid", "true");
    this.problem = sentence;
    this.left = [];
  }

  // What was found

  put(row, source) {
    const moment = nanoseconds(row.time);
    const text = row.parts.join("");
    if (row.type === "hit") {
      const hit = { source, moment, text, parts: row.parts };
      const at = this.placeOf(moment);
      this.hits.splice(at, 0, hit);
      const key = keyOf(source, moment);
      this.found.set(key, [...(this.found.get(key) ?? []), hit]);
      this.insert(this.itemOf(hit, row), moment);
      this.tell();
      this.onFound();
    } else {
      const item = element("li", { class: "logs-context" }, ...this.startOf(row, source), element("span", { text }));
      this.insert(item, moment);
    }
    this.markGap(row, source);
    this.results.hidden = false;
  }

  // Those of several logs come one after the other and belong in the order of their times.
  placeOf(moment) {
    let at = this.hits.length;
    while (at > 0 && this.hits[at - 1].moment > moment) {
      at -= 1;
    }
    return at;
  }

  insert(item, moment) {
    item.moment = moment;
    let before = null;
    let last = this.list.lastElementChild;
    while (last && last.moment > moment) {
      before = last;
      last = last.previousElementSibling;
    }
    this.list.insertBefore(item, before);
    this.latest = item;
  }

  markGap(row, source) {
    if (this.query.context && this.latestNumber?.source === source && row.number > this.latestNumber.number + 1) {
      this.latest.dataset.gap = "true";
    }
    this.latestNumber = { source, number: row.number };
  }

  startOf(row, source) {
    const moment = Date.parse(row.time);
    const name = this.nameOf(source);
    return [
      element("span", { class: "logs-time", text: Number.isNaN(moment) ? "" : inOwnZone(moment), title: row.time }),
      name ? element("span", { class: "logs-name", text: name.name, "data-color": name.color }) : null,
    ];
  }

  itemOf(hit, row) {
    const parts = hit.parts.map((part, at) => (at % 2 ? element("mark", { text: part }) : part));
    const open = element(
      "button",
      { type: "button", class: "logs-hit", "data-channel": row.channel, on: { click: () => this.choose(this.hits.indexOf(hit)) } },
      ...this.startOf(row, hit.source),
      element("span", { class: "logs-hit-text" }, ...parts),
    );
    hit.item = element("li", {}, open);
    return hit.item;
  }

  /** The parts of a line in which something was found, or null. */
  marksOf(line) {
    if (!this.query || line.isRemark) {
      return null;
    }
    const hits = this.found.size > 0 && line.time ? this.found.get(keyOf(line.source, line.moment || nanoseconds(line.time))) : null;
    const text = hits || !this.query.isPattern ? plain(line.text) : "";
    const hit = hits?.find((some) => some.text === text);
    return hit ? hit.parts : this.query.isPattern ? null : this.partsOf(text);
  }

  // Text is also found in what came after the search; a pattern is the server's affair.
  partsOf(text) {
    const { text: sought, matchesCase } = this.query;
    const [within, needle] = matchesCase ? [text, sought] : [text.toLowerCase(), sought.toLowerCase()];
    if (within.length !== text.length) {
      return null;
    }
    const parts = [];
    let at = 0;
    for (let found = within.indexOf(needle); found >= 0; found = within.indexOf(needle, at)) {
      parts.push(text.slice(at, found), text.slice(found, found + needle.length));
      at = found + needle.length;
    }
    return parts.length > 0 ? [...parts, text.slice(at)] : null;
  }

  // Going through them

  step(direction) {
    if (this.hits.length === 0) {
      announce(gettext("Nothing found."));
      return;
    }
    const first = direction > 0 ? 0 : this.hits.length - 1;
    this.choose(this.current < 0 ? first : (this.current + direction + this.hits.length) % this.hits.length);
  }

  choose(at) {
    this.hits[this.current]?.item.removeAttribute("aria-current");
    this.current = at;
    const hit = this.hits[at];
    hit.item.setAttribute("aria-current", "true");
    hit.item.scrollIntoView({ block: "nearest" });
    this.tell();
    this.onShow(hit);
  }

  // Words

  say(text) {
    this.problem = "";
    this.status.textContent = text;
  }

  tell(remark = "") {
    if (this.problem) {
      this.status.textContent = this.problem;
      return;
    }
    const count = this.hits.length;
    const place = this.current >= 0 ? `${(this.current + 1).toLocaleString()} / ${count.toLocaleString()}` : null;
    const found = place ?? interpolate(ngettext("%s line", "%s lines", count), [count.toLocaleString()]);
    const looked = interpolate(gettext("of %s"), [this.looked.toLocaleString()]);
    this.status.textContent = [place || !this.looked ? found : `${found} ${looked}`, remark].filter(Boolean).join(" · ");
  }

  show() {
    const isRunning = this.pending !== null;
    this.stop.hidden = !isRunning;
    this.go.hidden = isRunning;
    const isOver = !this.query;
    for (const control of [this.previous, this.next, this.close]) {
      control.hidden = isOver;
    }
    this.more.hidden = isRunning || this.left.length === 0;
    if (this.left.length > 0) {
      this.results.hidden = false;
    }
  }
}
