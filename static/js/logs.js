// A container's log: it follows until the reader scrolls up, and then stays exactly where he is.
//
// Bytes come as they are; lines are made here. Only the lines on the screen are elements: each has a height that is known
// beforehand (a fixed line height times the rows it wraps to), so a scroll position is a line without measuring.

import { dress, plain, runs } from "./ansi.js";
import { announce } from "./announce.js";
import { dock } from "./dock.js";
import { element } from "./elements.js";
import { Searcher } from "./log-search.js";
import { openStream } from "./stream.js";
import { inOwnZone, zoneName } from "./time.js";

const LINE = 20;
const MOST_LINES = 1000000;
const DROP = 20000;
const OVERSCAN = 12;
/** Characters of lines that go into one round of a search: the rounds grow while they are quick. */
const SMALLEST_ROUND = 4 * 1024;
const LARGEST_ROUND = 256 * 1024;
/** Milliseconds that a round should take. */
const ROUND = 20;
const STDERR = 2;
const PLAIN_TEXT = /^[\x20-\x7e]*$/;
const STAMP = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) ?/;
const TAILS = [100, 500, 5000, 50000];
const SINCE = { 0: "", 300: "5", 900: "15", 3600: "60", 86400: "1440" };
/** The choice of a list that opens a field. */
const OWN = "own";
const LEVELS = {
  error: levelPattern("EMERG|ALERT|FATAL|PANIC|CRIT(?:ICAL)?|ERR(?:OR)?", "[Ff]atal|[Pp]anic|[Cc]rit(?:ical)?|[Ee]rr(?:or)?"),
  warning: levelPattern("WARN(?:ING)?", "[Ww]arn(?:ing)?"),
};
const LEVEL_WITHIN = 200;
let numbers = 0;

function button(label, run, { name = null, pressed = null } = {}) {
  return element("button", {
    type: "button",
    class: "btn",
    "data-variant": "ghost",
    "data-size": "xs",
    "data-name": name,
    "aria-pressed": pressed === null ? null : String(pressed),
    text: label,
    on: { click: run },
  });
}

function choice(label, options, value, change) {
  const select = element("select", { class: "select", "aria-label": label, title: label, on: { change: () => change(select.value) } });
  for (const [option, text] of options) {
    select.append(element("option", { value: option, text, selected: String(option) === String(value) }));
  }
  return select;
}

// A field with its name and, while what stands in it is wrong, what to write instead.
function ownField(label, attributes, change) {
  numbers += 1;
  const error = element("span", { class: "stream-error", id: `logs-field-error-${numbers}`, role: "alert" });
  const input = element("input", { class: "input", on: { change }, ...attributes });
  const field = element("div", { class: "stream-field" }, element("label", {}, element("span", { text: label }), input), error);
  const complain = (text) => {
    error.textContent = text;
    if (text) {
      input.setAttribute("aria-invalid", "true");
      input.setAttribute("aria-describedby", error.id);
    } else {
      input.removeAttribute("aria-invalid");
      input.removeAttribute("aria-describedby");
    }
    return text === "";
  };
  return { field, input, complain };
}

// What a field for a moment takes: local time, without a zone.
function localValue(seconds) {
  return seconds === null ? "" : inOwnZone(seconds * 1000).slice(0, 19).replace(" ", "T");
}

// Words that programs write for a line's level, not those of people's sentences.
function levelPattern(capitals, words) {
  return new RegExp(
    `(?:^|\\W)(?:${capitals})(?!\\w)|(?:level|severity|lvl)"?\\s?[=:]\\s?"?(?:${words})\\b|^(?:${words})\\b`,
  );
}

function levelOf(text) {
  const start = text.slice(0, LEVEL_WITHIN);
  return Object.keys(LEVELS).find((level) => LEVELS[level].test(start)) ?? null;
}

// A frame is whole blocks: a byte of channel, four of length, and the lines.
function* blocksOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; ) {
    const end = at + 5 + view.getUint32(at + 1);
    yield [bytes[at], bytes.subarray(at + 5, end)];
    at = end;
  }
}

class LogsView {
  constructor(params) {
    this.params = { tail: 500, since: 0, from: null, until: null, stdout: true, stderr: true, times: false, wrap: true, ...params };
    this.decoders = new Map();
    this.searcher = new Searcher();
    this.sought = null; // {source, isPattern}; another object for each search
    this.tab = null;
    this.build();
    this.clear();
    this.connect();
  }

  build() {
    this.status = element("span", { class: "stream-state", "data-state": "connecting", role: "status" });
    this.where = element("span", { class: "truncate mono small", text: this.params.name ?? "" });
    this.space = element("div", { class: "logs-space" });
    this.view = element(
      "div",
      { class: "logs-view", tabindex: "0", role: "log", "aria-live": "off", "aria-label": gettext("Lines of the log") },
      this.space,
    );
    this.empty = element("div", { class: "logs-empty", hidden: true });
    this.more = element("button", {
      type: "button",
      class: "btn logs-more",
      "data-size": "sm",
      hidden: true,
      on: { click: () => this.toEnd() },
    });
    this.found = element("span", { class: "muted small num", role: "status" });
    this.field = element("input", {
      class: "input",
      type: "search",
      placeholder: gettext("Search in these lines"),
      "aria-label": gettext("Search in these lines"),
      spellcheck: "false",
      on: {
        input: () => this.search(),
        keydown: (event) => {
          if (event.key === "Enter") {
            event.preventDefault();
            this.step(event.shiftKey ? -1 : 1);
          }
        },
      },
    });
    this.pattern = button(".*", () => this.toggle(this.pattern, () => this.search()), { name: "regex", pressed: false });
    this.pattern.title = gettext("Regular expression");
    this.pattern.setAttribute("aria-label", gettext("Regular expression"));
    const both = this.params.stdout && this.params.stderr ? "both" : this.params.stdout ? "stdout" : "stderr";
    this.times = button(gettext("Times"), () => this.toggle(this.times, () => this.set({ times: !this.params.times })), {
      name: "times",
      pressed: this.params.times,
    });
    this.wrap = button(gettext("Wrap"), () => this.toggle(this.wrap, () => this.set({ wrap: !this.params.wrap })), {
      name: "wrap",
      pressed: this.params.wrap,
    });
    this.moveButton = button(gettext("Move to dock"), () => this.moveToDock(), { name: "dock" });
    this.download = element("a", {
      class: "btn",
      "data-variant": "ghost",
      "data-size": "xs",
      "hx-boost": "false",
      download: true,
      text: gettext("Download"),
      // "The last hour" is counted from now, not from when the page opened.
      on: { click: () => this.describeDownload() },
    });
    this.times.title = interpolate(gettext("In your time zone: %s"), [zoneName()]);
    this.buildRange();
    this.root = element(
      "div",
      { class: "logs" },
      element(
        "div",
        { class: "stream-bar", role: "toolbar", "aria-label": gettext("Log") },
        this.status,
        this.where,
        choice(
          gettext("How many lines"),
          [
            ...TAILS.map((count) => [count, interpolate(gettext("Last %s"), [count.toLocaleString()])]),
            ["", gettext("All lines")],
            [OWN, gettext("Another number…")],
          ],
          this.hasOwnTail() ? OWN : (this.params.tail ?? ""),
          (value) => this.chooseTail(value),
        ),
        choice(
          gettext("Since when"),
          [
            ...Object.keys(SINCE).map((seconds) => [
              seconds,
              seconds === "0" ? gettext("Since ever") : interpolate(gettext("Last %s min"), [SINCE[seconds]]),
            ]),
            [OWN, gettext("From … until …")],
          ],
          this.isBetween() ? OWN : this.params.since,
          (value) => this.chooseSince(value),
        ),
        choice(
          gettext("Which channel"),
          [
            ["both", gettext("stdout and stderr")],
            ["stdout", gettext("stdout only")],
            ["stderr", gettext("stderr only")],
          ],
          both,
          (value) => this.reopen({ stdout: value !== "stderr", stderr: value !== "stdout" }),
        ),
        element("span", { class: "stream-gap" }),
        this.times,
        this.wrap,
        button(gettext("Clear"), () => this.clear(), { name: "clear" }),
        this.download,
        this.moveButton,
      ),
      this.range,
      element(
        "div",
        { class: "stream-search" },
        this.field,
        this.pattern,
        this.found,
        button(gettext("Previous"), () => this.step(-1), { name: "previous" }),
        button(gettext("Next"), () => this.step(1), { name: "next" }),
      ),
      this.view,
      this.empty,
      this.more,
    );
    this.root.dataset.wrap = String(this.params.wrap);
    this.view.addEventListener("scroll", () => this.onScroll(), { passive: true });
    this.observer = new ResizeObserver(() => this.remeasure());
    this.observer.observe(this.view);
    this.onLive = (event) => this.onChange(event.detail.topics);
    document.addEventListener("live:changed", this.onLive);
    this.describeDownload();
  }

  // Which part

  buildRange() {
    const moment = { type: "datetime-local", step: "1", min: "1970-01-02T00:00", max: "2199-12-31T23:59", title: this.times.title };
    this.ownTail = ownField(
      gettext("Lines"),
      { type: "number", min: "1", max: String(MOST_LINES), step: "1", value: String(this.params.tail ?? "") },
      () => this.takeTail(),
    );
    this.ownFrom = ownField(gettext("From"), { ...moment, value: localValue(this.params.from) }, () => this.takeBetween());
    this.ownUntil = ownField(gettext("Until"), { ...moment, value: localValue(this.params.until) }, () => this.takeBetween());
    this.range = element(
      "div",
      { class: "stream-range", role: "group", "aria-label": gettext("Which part of the log") },
      this.ownTail.field,
      this.ownFrom.field,
      this.ownUntil.field,
    );
    this.showOwn({ tail: this.hasOwnTail(), between: this.isBetween() });
  }

  hasOwnTail() {
    return this.params.tail !== null && !TAILS.includes(this.params.tail);
  }

  isBetween() {
    return this.params.from !== null || this.params.until !== null;
  }

  // The second from which the log is read; null for its beginning.
  begin() {
    return this.params.from ?? (this.params.since ? Math.floor(Date.now() / 1000) - this.params.since : null);
  }

  // Whether the chosen end has passed, so that nothing more can come.
  isOver() {
    return this.params.until !== null && this.params.until * 1000 <= Date.now();
  }

  showOwn({ tail = !this.ownTail.field.hidden, between = !this.ownFrom.field.hidden }) {
    this.ownTail.field.hidden = !tail;
    this.ownFrom.field.hidden = !between;
    this.ownUntil.field.hidden = !between;
    this.range.hidden = !tail && !between;
  }

  chooseTail(value) {
    this.showOwn({ tail: value === OWN });
    if (value === OWN) {
      this.ownTail.input.focus();
      this.ownTail.input.select();
    } else {
      this.ownTail.complain("");
      this.reopen({ tail: value === "" ? null : Number(value) });
    }
  }

  takeTail() {
    const { input, complain } = this.ownTail;
    const isRight = input.value !== "" && input.validity.valid;
    if (complain(isRight ? "" : interpolate(gettext("Write a whole number from 1 to %s."), [MOST_LINES.toLocaleString()]))) {
      this.reopen({ tail: Number(input.value) });
    }
  }

  chooseSince(value) {
    this.showOwn({ between: value === OWN });
    if (value === OWN) {
      this.ownFrom.input.focus();
      return;
    }
    for (const own of [this.ownFrom, this.ownUntil]) {
      own.input.value = "";
      own.complain("");
    }
    this.reopen({ since: Number(value), from: null, until: null });
  }

  takeBetween() {
    const seconds = ({ input }) => (input.value ? Math.floor(new Date(input.value).getTime() / 1000) : null);
    const [from, until] = [seconds(this.ownFrom), seconds(this.ownUntil)];
    const wrong = (own) => (own.input.validity.valid ? "" : gettext("Write a date and a time."));
    const isFuture = from !== null && from * 1000 > Date.now();
    const fromIsRight = this.ownFrom.complain(
      wrong(this.ownFrom) || (isFuture ? gettext("This is still to come; choose an earlier moment.") : ""),
    );
    const isReversed = from !== null && until !== null && until <= from;
    const untilIsRight = this.ownUntil.complain(
      wrong(this.ownUntil) || (isReversed ? gettext("The end must come after the beginning.") : ""),
    );
    if (fromIsRight && untilIsRight) {
      this.reopen({ since: 0, from, until });
    }
  }

  describeDownload() {
    const query = new URLSearchParams({ host: this.params.host, container: this.params.container });
    if (this.params.times) {
      query.set("timestamps", "on");
    }
    if (this.params.tail !== null) {
      query.set("tail", String(this.params.tail));
    }
    if (!this.params.stdout) {
      query.set("stdout", "false");
    }
    if (!this.params.stderr) {
      query.set("stderr", "false");
    }
    const since = this.begin();
    if (since !== null) {
      query.set("since", String(since));
    }
    if (this.params.until !== null) {
      query.set("until", String(this.params.until));
    }
    this.download.href = `/terminals/logs/download/?${query}`;
  }

  toggle(control, then) {
    control.setAttribute("aria-pressed", String(control.getAttribute("aria-pressed") !== "true"));
    then();
  }

  set(changes) {
    Object.assign(this.params, changes);
    this.root.dataset.wrap = String(this.params.wrap);
    this.describeDownload();
    this.remeasure();
  }

  reopen(changes) {
    Object.assign(this.params, changes);
    this.describeDownload();
    this.clear();
    this.connect();
  }

  clear() {
    this.lines = []; // {text, time, channel, found: {sought, ranges}}
    this.tops = [0]; // tops[i] is where line i begins; one more than lines
    this.rests = new Map(); // channel -> the part of a line whose end has not come
    this.dropped = 0;
    this.hits = [];
    this.current = -1;
    this.searched = 0;
    this.sought &&= { ...this.sought };
    this.unmarked = []; // lines on the screen of which it is not known yet where they have what is sought
    this.unseen = 0;
    this.follows = true;
    this.schedule();
  }

  // The stream

  // One at a time: whatever still waits or runs gives way.
  connect(since = null) {
    this.disconnect();
    this.ended = false;
    this.setState("connecting");
    // A resumed stream begins with the second it was cut in: what is here already is not shown twice.
    this.resumeAfter = since;
    this.repeats = since ? this.sameTime(since) : 0;
    this.decoders.clear();
    this.rests.clear();
    this.stream = openStream({
      path: "/ws/logs/",
      first: {
        type: "open",
        host: this.params.host,
        container: this.params.container,
        tail: since ? null : this.params.tail,
        since: since ? Math.floor(Date.parse(since) / 1000) : this.begin(),
        until: this.params.until,
        stdout: this.params.stdout,
        stderr: this.params.stderr,
        timestamps: true,
        follow: !this.isOver(),
      },
      onBytes: (bytes, rendered) => {
        for (const [channel, data] of blocksOf(bytes)) {
          this.take(channel, data);
        }
        rendered();
      },
      onControl: (frame) => this.onControl(frame),
      onClose: (closed) => this.onClose(closed),
    });
  }

  disconnect() {
    clearTimeout(this.retry);
    const stream = this.stream;
    this.stream = null;
    stream?.close();
  }

  onControl(frame) {
    if (frame.type === "opened") {
      this.failures = 0;
      this.setState("live");
      setTimeout(() => this.schedule(), 400);
    } else if (frame.type === "end") {
      this.ended = true;
      this.flush();
      this.setState(
        "ended",
        this.isOver()
          ? gettext("This is the log until the chosen end.")
          : gettext("The container is not running; its log goes on here when it starts."),
      );
    } else if (frame.type === "error") {
      this.ended = true;
      this.setState("ended", `${frame.message} ${frame.next_step}`);
    }
  }

  onClose() {
    if (!this.stream) {
      return;
    }
    this.stream = null;
    if (!this.ended) {
      this.setState("connecting", gettext("Reconnecting…"));
      this.failures = (this.failures ?? 0) + 1;
      this.connectAfter(Math.min(15000, 500 * 2 ** this.failures) * (0.5 + Math.random()));
    }
  }

  connectAfter(pause) {
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.connect(this.lastTime()), pause);
  }

  // A container that starts again goes on writing to the same log.
  onChange(topics) {
    if (this.ended && !this.isOver() && topics.includes(`container:${this.params.host}:${this.params.container}`)) {
      this.ended = false;
      this.connectAfter(700);
    }
  }

  // What was written last may lack the end of its line.
  flush() {
    for (const [channel, rest] of this.rests) {
      if (rest) {
        this.take(channel, new Uint8Array([10]));
      }
    }
  }

  isHereAlready(time) {
    if (time < this.resumeAfter) {
      return true;
    }
    if (time === this.resumeAfter && this.repeats > 0) {
      this.repeats -= 1;
      return true;
    }
    this.resumeAfter = null;
    return false;
  }

  // Podman's times are whole seconds, so that several lines have the same one.
  sameTime(time) {
    let count = 0;
    while (this.lines[this.lines.length - 1 - count]?.time === time) {
      count += 1;
    }
    return count;
  }

  lastTime() {
    return this.lines.at(-1)?.time ?? null;
  }

  setState(state, text = "") {
    const words = { connecting: gettext("Connecting…"), live: gettext("Following"), ended: gettext("Ended") };
    this.status.dataset.state = state;
    this.status.textContent = text || words[state];
    this.tab?.setStatus(state === "live" ? "live" : state === "ended" ? "ended" : "idle");
  }

  take(channel, bytes) {
    let decoder = this.decoders.get(channel);
    if (!decoder) {
      decoder = new TextDecoder("utf-8");
      this.decoders.set(channel, decoder);
    }
    const text = (this.rests.get(channel) ?? "") + decoder.decode(bytes, { stream: true });
    const parts = text.split("\n");
    this.rests.set(channel, parts.pop());
    for (const part of parts) {
      const stamp = STAMP.exec(part);
      const time = stamp?.[1] ?? null;
      if (this.resumeAfter && time && this.isHereAlready(time)) {
        continue;
      }
      const line = part.slice(stamp?.[0].length ?? 0).replace(/\r$/, "");
      const shown = line.slice(line.lastIndexOf("\r") + 1);
      this.add({ text: shown, time, channel });
    }
    if (this.lines.length > MOST_LINES) {
      this.drop();
    }
    this.schedule();
  }

  add(line) {
    this.lines.push(line);
    this.tops.push(this.tops.at(-1) + this.heightOf(line));
    if (!this.follows) {
      this.unseen += 1;
    }
  }

  // The oldest go, and the view stays where it is.
  drop() {
    const gone = this.tops[DROP];
    this.lines.splice(0, DROP);
    this.tops = this.tops.slice(DROP).map((top) => top - gone);
    this.dropped += DROP;
    this.hits = this.hits.filter((hit) => hit >= DROP).map((hit) => hit - DROP);
    this.searched = Math.max(0, this.searched - DROP);
    this.current = -1;
    if (!this.follows) {
      this.view.scrollTop = Math.max(0, this.view.scrollTop - gone);
    }
  }

  // Heights

  measureCell() {
    const probe = element("span", { text: "0".repeat(100), class: "logs-line" });
    probe.style.cssText = "position:absolute;visibility:hidden;left:0;right:auto;padding:0;display:inline-block";
    this.space.append(probe);
    this.cell = probe.getBoundingClientRect().width / 100 || 7.5;
    probe.remove();
  }

  heightOf(line) {
    if (!this.params.wrap || !this.columns) {
      return LINE;
    }
    if (PLAIN_TEXT.test(line.text)) {
      return LINE * Math.max(1, Math.ceil(line.text.length / this.columns));
    }
    let cells = 0;
    for (const letter of line.text.includes("\x1b") ? plain(line.text) : line.text) {
      cells += letter === "\t" ? 8 - (cells % 8) : letter.codePointAt(0) > 0x10ff ? 2 : 1;
    }
    return LINE * Math.max(1, Math.ceil(cells / this.columns));
  }

  remeasure() {
    if (this.view.clientWidth === 0) {
      return;
    }
    const anchor = this.lineAt(this.view.scrollTop);
    this.measureCell();
    const times = this.params.times ? 24 * this.cell + 14 : 0;
    this.columns = Math.max(10, Math.floor((this.view.clientWidth - 24 - times) / this.cell));
    const tops = [0];
    for (const line of this.lines) {
      tops.push(tops.at(-1) + this.heightOf(line));
    }
    this.tops = tops;
    this.redraw = true;
    if (!this.follows) {
      this.space.style.height = `${tops.at(-1)}px`;
      this.view.scrollTop = tops[anchor] ?? 0;
    }
    this.schedule();
  }

  lineAt(top) {
    let low = 0;
    let high = this.lines.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.tops[middle + 1] <= top) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  // Drawing

  schedule() {
    if (!this.frame) {
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.draw();
      });
    }
  }

  draw() {
    if (!this.columns) {
      this.remeasure();
    }
    this.space.style.height = `${this.tops.at(-1)}px`;
    if (this.follows) {
      this.view.scrollTop = this.view.scrollHeight;
      this.ownTop = this.view.scrollTop;
    }
    const from = Math.max(0, this.lineAt(this.view.scrollTop) - OVERSCAN);
    const to = Math.min(this.lines.length, this.lineAt(this.view.scrollTop + this.view.clientHeight) + OVERSCAN);
    const kept = new Map();
    for (const child of [...this.space.children]) {
      const line = child.line;
      if (this.redraw || !line) {
        child.remove();
      } else {
        kept.set(line, child);
      }
    }
    this.redraw = false;
    const wanted = new Set();
    for (let at = from; at < to; at += 1) {
      const line = this.lines[at];
      wanted.add(line);
      let child = kept.get(line);
      if (!child) {
        child = this.drawLine(line);
        this.space.append(child);
      }
      child.style.top = `${this.tops[at]}px`;
      child.style.height = `${this.tops[at + 1] - this.tops[at]}px`;
      child.dataset.current = String(this.hits[this.current] === at);
    }
    for (const [line, child] of kept) {
      if (!wanted.has(line)) {
        child.remove();
      }
    }
    this.empty.textContent =
      this.begin() === null && this.params.until === null
        ? gettext("Nothing has been written yet.")
        : gettext("Nothing was written in this time.");
    this.empty.hidden = this.lines.length > 0 || this.status.dataset.state === "connecting";
    this.showUnseen();
    this.unmarked = this.sought ? [...wanted].filter((line) => line.found?.sought !== this.sought) : [];
    this.searchOn();
  }

  drawLine(line) {
    const text = element("span", { class: "logs-text" });
    const matches = this.sought && line.found?.sought === this.sought ? line.found.ranges : null;
    if (matches?.length) {
      let at = 0;
      const flat = plain(line.text);
      for (const [start, end] of matches) {
        text.append(flat.slice(at, start), element("mark", { text: flat.slice(start, end) }));
        at = end;
      }
      text.append(flat.slice(at));
    } else {
      for (const run of runs(line.text)) {
        const span = element("span", { text: run.text });
        dress(span, run.style);
        text.append(span);
      }
    }
    const row = element("div", {
      class: "logs-line",
      "data-channel": line.channel,
      "data-level": levelOf(plain(line.text)),
      "data-hit": matches?.length ? "true" : null,
    });
    if (line.channel === STDERR) {
      row.title = gettext("Standard error");
    }
    if (this.params.times) {
      const moment = Date.parse(line.time ?? "");
      row.append(
        Number.isNaN(moment)
          ? element("span", { class: "logs-time" })
          : element("span", { class: "logs-time", text: inOwnZone(moment), title: `${zoneName(moment)} · ${line.time}` }),
      );
    }
    row.append(text);
    row.line = line;
    return row;
  }

  // Following

  onScroll() {
    if (this.view.scrollTop === this.ownTop) {
      return;
    }
    this.ownTop = null;
    const atEnd = this.view.scrollTop + this.view.clientHeight >= this.view.scrollHeight - LINE;
    if (atEnd !== this.follows) {
      this.follows = atEnd;
      if (atEnd) {
        this.unseen = 0;
      }
    }
    this.schedule();
  }

  toEnd() {
    this.follows = true;
    this.unseen = 0;
    this.schedule();
    this.view.focus();
  }

  showUnseen() {
    this.more.hidden = this.follows;
    if (!this.follows) {
      this.more.textContent =
        this.unseen > 0
          ? interpolate(ngettext("%s new line ↓", "%s new lines ↓", this.unseen), [this.unseen.toLocaleString()])
          : gettext("Go to the end ↓");
    }
  }

  // Search

  search() {
    const text = this.field.value;
    this.forget();
    this.field.removeAttribute("aria-invalid");
    this.found.textContent = "";
    const isPattern = this.pattern.getAttribute("aria-pressed") === "true";
    const source = isPattern ? text : text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    try {
      new RegExp(source, "i");
    } catch {
      this.refuse(gettext("This regular expression is not complete."));
      return;
    }
    this.sought = text ? { source, isPattern } : null;
  }

  forget() {
    this.sought = null;
    this.hits = [];
    this.current = -1;
    this.searched = 0;
    this.round = SMALLEST_ROUND;
    this.redraw = true;
    this.schedule();
  }

  refuse(reason) {
    this.forget();
    this.field.setAttribute("aria-invalid", "true");
    this.found.textContent = reason;
  }

  // The lines on the screen come first, then all from the oldest on.
  searchOn() {
    if (!this.sought || this.searcher.isBusy) {
      return;
    }
    if (this.unmarked.length > 0) {
      this.markLines();
    } else if (this.searched < this.lines.length) {
      this.searchLines();
    }
  }

  markLines() {
    const lines = this.unmarked.splice(0, this.roundOf(this.unmarked, 0));
    this.ask(lines, { wantsRanges: true }, ({ ranges }) => {
      lines.forEach((line, at) => {
        line.found = { sought: this.sought, ranges: ranges[at] };
      });
      if (ranges.some((some) => some.length > 0)) {
        this.redraw = true;
        this.schedule();
      }
    });
  }

  searchLines() {
    const from = this.searched;
    const to = this.roundOf(this.lines, from);
    const before = this.dropped;
    this.ask(this.lines.slice(from, to), { wantsRanges: false }, ({ hits }) => {
      const gone = this.dropped - before; // meanwhile
      for (const hit of hits) {
        if (from + hit >= gone) {
          this.hits.push(from + hit - gone);
        }
      }
      this.searched = Math.max(0, to - gone);
      this.found.textContent = interpolate(ngettext("%s line", "%s lines", this.hits.length), [this.hits.length.toLocaleString()]);
    });
  }

  // Where a round that begins with the line at `from` ends.
  roundOf(lines, from) {
    let to = from;
    for (let size = 0; to < lines.length && size < this.round; to += 1) {
      size += lines[to].text.length + 1;
    }
    return to;
  }

  ask(lines, { wantsRanges }, answered) {
    const sought = this.sought;
    const text = lines.map((line) => line.text).join("\n");
    this.searcher.ask({ source: sought.source, text, wantsRanges, limited: sought.isPattern }, (answer) => {
      if (sought === this.sought && answer) {
        const next = answer.took < ROUND ? this.round * 2 : this.round / 2;
        this.round = Math.min(LARGEST_ROUND, Math.max(SMALLEST_ROUND, next));
        answered(answer);
      } else if (sought === this.sought) {
        this.refuse(gettext("This regular expression could take for ever; write it without repeated groups."));
      }
      this.searchOn();
    });
  }

  step(direction) {
    if (this.hits.length === 0) {
      announce(gettext("Nothing found."));
      return;
    }
    const first = direction > 0 ? 0 : this.hits.length - 1;
    this.current = this.current < 0 ? first : (this.current + direction + this.hits.length) % this.hits.length;
    this.follows = false;
    this.view.scrollTop = Math.max(0, this.tops[this.hits[this.current]] - this.view.clientHeight / 2);
    this.found.textContent = `${(this.current + 1).toLocaleString()} / ${this.hits.length.toLocaleString()}`;
    this.schedule();
  }

  // Places

  moveToDock() {
    const { host, container, name } = this.params;
    dock.open({ kind: "logs", key: `logs:${host}:${container}`, title: name, params: { ...this.params } });
  }

  place(container, tab) {
    this.tab = tab;
    this.moveButton.hidden = Boolean(tab);
    container.replaceChildren(this.root);
  }

  close() {
    cancelAnimationFrame(this.frame);
    document.removeEventListener("live:changed", this.onLive);
    this.observer.disconnect();
    this.searcher.stop();
    this.disconnect();
  }
}

/** In a page. */
export function mount(place) {
  const { host, container, name } = place.dataset;
  const view = new LogsView({ host, container, name });
  view.place(place.querySelector("[data-place]"), null);
  return () => view.close();
}

dock.register("logs", (container, params, tab) => {
  const view = new LogsView(params);
  view.place(container, tab);
  return {
    focus: () => view.view.focus({ preventScroll: true }),
    resize: () => view.remeasure(),
    close: () => view.close(),
    serialize: () => ({ ...view.params }),
  };
});
