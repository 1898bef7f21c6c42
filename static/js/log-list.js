// The lines of a log on the screen: it follows until the reader scrolls up, and then stays exactly where they are.
//
// Only the lines on the screen are elements: each has a height that is known beforehand (a fixed line height times the
// rows it wraps to), so a scroll position is a line without measuring.

import { dress, plain, runs } from "./ansi.js";
import { element } from "./elements.js";
import { LEVELS, foldedText, jsonOf, levelOf, momentOf, openedRows } from "./log-line.js";
import { inOwnZone, zoneName } from "./time.js";

const LINE = 20;
export const MOST_LINES = 1000000;
const DROP = 20000;
const OVERSCAN = 12;
const STDERR = 2;
const PLAIN_TEXT = /^[\x20-\x7e]*$/;
const LONGEST_NAME = 20;
/** Padding of the view and of what stands before the text, in pixels. */
const EDGES = 24;
const GAP = 14;
const FOLD = 18;

/** The text in parts, with what was found in the line marked. */
function marked(text, found) {
  for (const part of found) {
    const at = text.indexOf(part);
    if (part && at >= 0) {
      return [text.slice(0, at), element("mark", { text: part }), ...marked(text.slice(at + part.length), found)];
    }
  }
  return [text];
}

export class LogList {
  /**
   * `options` is {times, wrap, folds, level}; `marks(line)` gives the parts of a line in which something was found, or
   * null; `onChange()` is called when it was drawn, `onChoose(line)` when a line is clicked; `onNearEnd()` says whether
   * more is read behind the last line.
   */
  constructor({ options, marks, onChange, onChoose, onNearEnd }) {
    this.options = options;
    this.marks = marks;
    this.onChange = onChange;
    this.onChoose = onChoose;
    this.onNearEnd = onNearEnd;
    this.names = new Map(); // source -> what stands before its lines, when there are several
    this.space = element("div", { class: "logs-space" });
    this.view = element(
      "div",
      { class: "logs-view", tabindex: "0", role: "log", "aria-live": "off", "aria-label": gettext("Lines of the log") },
      this.space,
    );
    this.view.addEventListener("scroll", () => this.onScroll(), { passive: true });
    this.view.addEventListener("click", (event) => this.onClick(event));
    this.observer = new ResizeObserver(() => this.remeasure());
    this.observer.observe(this.view);
    this.chosen = null;
    this.clear();
  }

  close() {
    cancelAnimationFrame(this.frame);
    this.observer.disconnect();
  }

  // Lines

  clear() {
    this.all = [];
    this.lines = []; // those that are shown: all, or the ones of the chosen levels
    this.tops = [0]; // tops[i] is where line i begins; one more than lines
    this.unseen = 0;
    this.follows = true;
    this.isPaused = false;
    this.chosen = null;
    this.redraw = true;
    this.schedule();
  }

  /** Forget the lines of one source. */
  forget(source) {
    this.all = this.all.filter((line) => line.source !== source);
    this.refilter();
  }

  isShown(line, before) {
    const { level } = this.options;
    return !level || line.isRemark || LEVELS.slice(0, LEVELS.indexOf(level) + 1).includes(levelOf(line, before));
  }

  /** Add lines of one source: behind all others, or between them by their times when there are several. */
  add(lines) {
    if (this.names.size > 0 && this.all.length > 0) {
      this.merge(lines);
    } else {
      for (const line of lines) {
        const before = this.all.at(-1) ?? null;
        this.all.push(line);
        if (this.isShown(line, before)) {
          this.lines.push(line);
          this.tops.push(this.tops.at(-1) + this.heightOf(line));
          this.unseen += this.follows ? 0 : 1;
        }
      }
    }
    if (this.all.length > MOST_LINES) {
      this.drop();
    }
    this.schedule();
  }

  // Each source is in order, so the new lines go in from the end: what is older than all of them stays untouched.
  merge(lines) {
    const first = momentOf(lines[0]);
    let at = this.all.length;
    while (at > 0 && momentOf(this.all[at - 1]) > first) {
      at -= 1;
    }
    const later = this.all.splice(at);
    const moved = new Set(later);
    const merged = [];
    for (let left = 0, right = 0; left < later.length || right < lines.length; ) {
      const takesNew = left >= later.length || (right < lines.length && momentOf(lines[right]) < momentOf(later[left]));
      merged.push(takesNew ? lines[right++] : later[left++]);
    }
    const anchor = this.anchor();
    let before = this.all.at(-1) ?? null;
    // What is shown of the untouched part: a line behind it is the first to be placed anew.
    while (this.lines.length > 0 && moved.has(this.lines.at(-1))) {
      this.lines.pop();
      this.tops.pop();
    }
    for (const line of merged) {
      this.all.push(line);
      if (this.isShown(line, before)) {
        this.lines.push(line);
        this.tops.push(this.tops.at(-1) + this.heightOf(line));
      }
      before = line;
    }
    this.unseen += this.follows ? 0 : lines.length;
    this.keep(anchor);
  }

  // The oldest go, and the view stays where it is.
  drop() {
    const gone = new Set(this.all.splice(0, DROP));
    let count = 0;
    while (count < this.lines.length && gone.has(this.lines[count])) {
      count += 1;
    }
    const height = this.tops[count];
    this.lines.splice(0, count);
    this.tops = this.tops.slice(count).map((top) => top - height);
    if (!this.follows) {
      this.view.scrollTop = Math.max(0, this.view.scrollTop - height);
    }
  }

  refilter(anchor = this.anchor()) {
    this.lines = this.options.level
      ? this.all.filter((line, at) => this.isShown(line, this.all[at - 1] ?? null))
      : [...this.all];
    this.remeasure(anchor);
  }

  // Heights

  measureCell() {
    const probe = element("span", { text: "0".repeat(100), class: "logs-line" });
    probe.style.cssText = "position:absolute;visibility:hidden;left:0;right:auto;padding:0;display:inline-block";
    this.space.append(probe);
    this.cell = probe.getBoundingClientRect().width / 100 || 7.5;
    probe.remove();
  }

  get nameCells() {
    return Math.min(LONGEST_NAME, Math.max(0, ...[...this.names.values()].map(({ name }) => name.length)));
  }

  isFolded(line) {
    return this.options.folds && !line.isRemark && jsonOf(line) !== null;
  }

  heightOf(line) {
    if (!this.columns) {
      return LINE;
    }
    if (!this.isFolded(line)) {
      return LINE * this.rowsOf(line.text, this.columns);
    }
    const columns = this.columns - Math.ceil(FOLD / this.cell);
    const opened = line.isOpen ? openedRows(line.json) : [];
    return opened.reduce((height, row) => height + LINE * this.rowsOf(row, columns), LINE * this.rowsOf(foldedText(line.json), columns));
  }

  rowsOf(text, columns) {
    if (!this.options.wrap) {
      return 1;
    }
    if (PLAIN_TEXT.test(text)) {
      return Math.max(1, Math.ceil(text.length / columns));
    }
    let cells = 0;
    for (const letter of text.includes("\x1b") ? plain(text) : text) {
      cells += letter === "\t" ? 8 - (cells % 8) : letter.codePointAt(0) > 0x10ff ? 2 : 1;
    }
    return Math.max(1, Math.ceil(cells / columns));
  }

  // The line at the top of the view, and how much of it is above.
  anchor() {
    const at = this.lineAt(this.view.scrollTop);
    return { line: this.lines[at], offset: this.view.scrollTop - (this.tops[at] ?? 0) };
  }

  keep({ line, offset }) {
    if (this.follows || !line) {
      return;
    }
    const at = this.lines.indexOf(line);
    this.space.style.height = `${this.tops.at(-1)}px`;
    this.view.scrollTop = at < 0 ? 0 : this.tops[at] + offset;
  }

  remeasure(anchor = this.anchor()) {
    if (this.view.clientWidth === 0) {
      return;
    }
    this.measureCell();
    const times = this.options.times ? 24 * this.cell + GAP : 0;
    const names = this.names.size > 0 ? this.nameCells * this.cell + GAP : 0;
    this.columns = Math.max(10, Math.floor((this.view.clientWidth - EDGES - times - names) / this.cell));
    this.view.parentElement?.style.setProperty("--name-cells", String(this.nameCells));
    const tops = [0];
    for (const line of this.lines) {
      tops.push(tops.at(-1) + this.heightOf(line));
    }
    this.tops = tops;
    this.redraw = true;
    this.keep(anchor);
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

  /** Draw every line anew. */
  refresh() {
    this.redraw = true;
    this.schedule();
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
      if (this.redraw || !child.line) {
        child.remove();
      } else {
        kept.set(child.line, child);
      }
    }
    this.redraw = false;
    for (let at = from; at < to; at += 1) {
      const line = this.lines[at];
      let child = kept.get(line);
      kept.delete(line);
      if (!child) {
        child = this.drawLine(line, this.lines[at - 1] ?? null);
        this.space.append(child);
      }
      child.style.top = `${this.tops[at]}px`;
      child.style.height = `${this.tops[at + 1] - this.tops[at]}px`;
      child.dataset.current = String(line === this.chosen);
    }
    for (const child of kept.values()) {
      child.remove();
    }
    this.onChange();
  }

  drawLine(line, before) {
    const row = element("div", {
      class: line.isRemark ? "logs-line logs-remark" : "logs-line",
      "data-channel": line.channel,
      "data-level": levelOf(line, before),
    });
    row.line = line;
    if (line.channel === STDERR) {
      row.title = gettext("Standard error");
    }
    if (this.options.times) {
      row.append(this.drawTime(line));
    }
    const name = this.names.get(line.source);
    if (name) {
      row.append(element("span", { class: "logs-name", text: name.name, title: name.title, "data-color": name.color }));
    }
    const parts = this.marks(line);
    row.dataset.hit = String(Boolean(parts));
    row.append(this.isFolded(line) ? this.drawJson(line, parts) : this.drawText(line, parts));
    return row;
  }

  drawTime(line) {
    const moment = Date.parse(line.time ?? "");
    return Number.isNaN(moment)
      ? element("span", { class: "logs-time" })
      : element("span", { class: "logs-time", text: inOwnZone(moment), title: `${zoneName(moment)} · ${line.time}` });
  }

  drawText(line, parts) {
    const text = element("span", { class: "logs-text" });
    if (parts) {
      text.append(...parts.map((part, at) => (at % 2 ? element("mark", { text: part }) : part)));
      return text;
    }
    for (const run of runs(line.text)) {
      const span = element("span", { text: run.text });
      dress(span, run.style);
      text.append(span);
    }
    return text;
  }

  drawJson(line, parts) {
    const { json } = line;
    const fold = element("button", {
      type: "button",
      class: "logs-fold",
      "aria-expanded": String(line.isOpen),
      "aria-label": gettext("All fields"),
      on: {
        click: (event) => {
          event.stopPropagation();
          this.toggle(line);
        },
      },
    });
    const text = element("span", { class: "logs-json" });
    const put = (part) => text.append(...(text.childNodes.length > 0 ? ["  "] : []), part);
    if (json.levelText) {
      put(element("span", { class: "logs-level", text: json.levelText }));
    }
    const found = new Set((parts ?? []).filter((_part, at) => at % 2));
    if (json.message) {
      put(element("span", { class: "logs-message" }, ...marked(json.message, found)));
    }
    for (const [key, value] of json.chips) {
      put(element("span", {}, element("span", { class: "logs-key", text: `${key}=` }), ...marked(value, found)));
    }
    if (json.more) {
      put(element("span", { class: "logs-key", text: `+${json.more}` }));
    }
    if (line.isOpen) {
      const rows = openedRows(json).map((part) => element("span", { class: "logs-field", text: part }));
      text.append(element("span", { class: "logs-fields" }, ...rows));
    }
    return element("span", { class: "logs-text" }, fold, text);
  }

  toggle(line) {
    line.isOpen = !line.isOpen;
    // A reader of one line does not want to be moved on.
    this.stay();
    this.remeasure();
    this.draw();
    // It was drawn anew: who works with keys stays on it.
    const row = [...this.space.children].find((child) => child.line === line);
    row?.querySelector(".logs-fold").focus({ preventScroll: true });
  }

  // Following

  onScroll() {
    if (this.view.scrollTop === this.ownTop) {
      return;
    }
    this.ownTop = null;
    const atEnd = this.view.scrollTop + this.view.clientHeight >= this.view.scrollHeight - LINE;
    // What is read on is to be read, not rushed through.
    const goesOn = atEnd && this.onNearEnd();
    if (atEnd !== this.follows && !(atEnd && (this.isPaused || goesOn))) {
      this.follows = atEnd;
      this.unseen = atEnd ? 0 : this.unseen;
    }
    this.schedule();
  }

  /** Stay here, whatever comes. */
  stay() {
    this.follows = false;
    this.schedule();
  }

  pause() {
    this.isPaused = true;
    this.stay();
  }

  toEnd() {
    this.isPaused = false;
    this.follows = true;
    this.unseen = 0;
    this.schedule();
    this.view.focus({ preventScroll: true });
  }

  // One line

  onClick(event) {
    const line = event.target.closest(".logs-line")?.line;
    if (line && !line.isRemark && document.getSelection().isCollapsed) {
      this.onChoose(line);
    }
  }

  /** Put a line in the middle. Returns whether it is shown. */
  show(line) {
    const at = this.lines.indexOf(line);
    if (at < 0) {
      return false;
    }
    this.chosen = line;
    this.stay();
    this.space.style.height = `${this.tops.at(-1)}px`;
    this.view.scrollTop = Math.max(0, this.tops[at] - this.view.clientHeight / 2);
    this.schedule();
    return true;
  }

  choose(line) {
    this.chosen = line;
    this.schedule();
  }

  /** The line of a moment: the one that `isIt` accepts, else the first that is not earlier; lines must be in order. */
  find(moment, isIt = () => false) {
    let low = 0;
    let high = this.lines.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (momentOf(this.lines[middle]) < moment) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    for (let at = low; at < this.lines.length && momentOf(this.lines[at]) === moment; at += 1) {
      if (isIt(this.lines[at])) {
        return this.lines[at];
      }
    }
    return this.lines[low] ?? null;
  }
}
