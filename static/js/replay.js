// A recording played again: xterm.js fed with what the terminal showed, at any speed and from any moment.
//
// The file is asciicast v2: a line of JSON as head, then one line for each event, [seconds, kind, text]. Kinds: "o" output,
// "i" a line of input, "r" a size, "m" a mark, "x" the exit code.

import { SerializeAddon } from "../vendor/xterm/addon-serialize.mjs";
import { Unicode11Addon } from "../vendor/xterm/addon-unicode11.mjs";
import { Terminal } from "../vendor/xterm/xterm.mjs";
import { element } from "./elements.js";
import { loadFont, look } from "./terminal-appearance.js";

const SMALLEST = 6;
const LARGEST = 16;
const SPEEDS = [0.5, 1, 2, 4, 8, 16];
const IDLE = 1.5; // seconds of nothing that are left out
const STEP = 5;
const CONTENT_LIMIT = 96 * 1024 * 1024; // of characters kept for going back and forth
const FRAME_EVERY = 512 * 1024; // characters between two screens that are kept, so that going back is quick
const MOST_FRAMES = 64;
const WRITE = 256 * 1024;
const LOOK_AGAIN = 4000;
const MOST_TICKS = 300;
const ENCODER = new TextEncoder();

/** A moment as players show it; console/recordings/templatetags/recordings.py says it in the same way. */
function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** How wide a cell is for each pixel of the font's size. */
function cellRatio(family) {
  const context = document.createElement("canvas").getContext("2d");
  context.font = `100px ${family}`;
  return context.measureText("W").width / 100 || 0.6;
}

class Replay {
  constructor(root) {
    this.root = root;
    this.page = root.closest("[data-replay-page]");
    this.events = [];
    this.marks = [];
    this.size = { columns: 80, rows: 24 };
    this.length = Number(root.dataset.seconds) || 0;
    this.position = 0;
    this.index = 0; // of the next event to show
    this.shown = 0; // characters since the last kept screen
    this.frames = [];
    this.isPlaying = false;
    this.isSeeking = false;
    this.speed = 1;
    this.loaded = 0; // bytes of whole lines
    this.rest = "";
    this.hasHead = false;
    this.stop = new AbortController();
    loadFont().finally(() => {
      if (!this.stop.signal.aborted) {
        this.build();
        this.load();
      }
    });
  }

  build() {
    this.notice = element("div", { class: "replay-notice", role: "status" });
    this.screen = element("div", { class: "replay-screen" });
    this.playButton = element("button", {
      type: "button",
      class: "btn",
      "data-variant": "ghost",
      "data-size": "sm",
      "data-play": true,
      on: { click: () => this.toggle() },
    });
    this.seekBar = element("input", {
      type: "range",
      min: "0",
      step: "0.01",
      value: "0",
      "aria-label": gettext("Moment"),
      on: {
        input: () => this.seek(Number(this.seekBar.value)),
        // Its own steps would be as fine as the bar.
        keydown: (event) => ["ArrowLeft", "ArrowRight"].includes(event.key) && event.preventDefault(),
      },
    });
    this.track = element("div", { class: "replay-track" }, this.seekBar);
    this.time = element("span", { class: "num", "data-time": true });
    this.speedField = element(
      "select",
      {
        class: "select",
        "aria-label": gettext("Speed"),
        on: { change: () => this.setSpeed(Number(this.speedField.value)) },
      },
      ...SPEEDS.map((speed) => element("option", { value: speed, text: `${speed}×`, selected: speed === 1 })),
    );
    this.idleField = element("input", { type: "checkbox", checked: true });
    this.root.append(
      this.notice,
      this.screen,
      element(
        "div",
        { class: "replay-bar", role: "group", "aria-label": gettext("Replay") },
        this.playButton,
        this.time,
        this.track,
        this.speedField,
        element("label", {}, this.idleField, gettext("Skip pauses")),
        element("span", {
          class: "muted hide-narrow",
          text: gettext("Space, ← →, ↑ ↓, [ ]"),
          title: gettext("Space plays and pauses, ← and → go 5 seconds, ↑ and ↓ change the speed, [ and ] go from command to command"),
        }),
      ),
    );
    this.appearance = look();
    this.screen.style.background = this.appearance.theme.background;
    this.terminal = new Terminal({
      ...this.appearance,
      allowProposedApi: true,
      cols: this.size.columns,
      rows: this.size.rows,
      disableStdin: true,
      scrollback: 2000,
    });
    this.terminal.loadAddon(new Unicode11Addon());
    this.terminal.unicode.activeVersion = "11";
    this.serializer = new SerializeAddon();
    this.terminal.loadAddon(this.serializer);
    this.terminal.open(this.screen);
    // Nothing is typed here, so nobody should get stuck there with the keyboard.
    this.terminal.textarea.tabIndex = -1;
    this.terminal.attachCustomKeyEventHandler(() => false);
    this.ratio = cellRatio(this.appearance.fontFamily);
    this.observer = new ResizeObserver(() => this.fit());
    this.observer.observe(this.root);
    this.onKey = (event) => this.key(event);
    this.onClick = (event) => this.follow(event);
    document.addEventListener("keydown", this.onKey);
    this.page.addEventListener("click", this.onClick);
    this.showState();
  }

  unmount() {
    this.stop.abort();
    clearTimeout(this.timer);
    cancelAnimationFrame(this.frame);
    if (!this.terminal) {
      return;
    }
    this.observer.disconnect();
    document.removeEventListener("keydown", this.onKey);
    this.page.removeEventListener("click", this.onClick);
    this.terminal.dispose();
  }

  // The file

  async load() {
    try {
      const answer = await fetch(this.root.dataset.url, {
        headers: this.loaded ? { Range: `bytes=${this.loaded}-` } : {},
        signal: this.stop.signal,
      });
      if (answer.status === 416) {
        this.lookAgain(); // nothing new yet
        return;
      }
      if (!answer.ok) {
        throw new Error(String(answer.status));
      }
      if (!this.loaded) {
        this.notice.textContent = gettext("Loading…");
      }
      const decoder = new TextDecoder();
      const reader = answer.body.getReader();
      this.rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) {
          break;
        }
        if (!this.take(decoder.decode(value, { stream: true }))) {
          await reader.cancel();
          this.notice.textContent = gettext("This recording is too long for one page: only its beginning is shown. The download holds all of it.");
          return;
        }
      }
      this.notice.textContent = this.events.length ? "" : gettext("Nothing has been shown yet.");
      this.begin();
      this.lookAgain();
    } catch (error) {
      if (error.name !== "AbortError") {
        this.notice.textContent = gettext("The recording could not be loaded. Reload the page to try again.");
      }
    }
  }

  lookAgain() {
    if ("liveRecording" in this.root.dataset) {
      this.notice.textContent = gettext("It is still being recorded; what comes is added here.");
      this.timer = setTimeout(() => this.load(), LOOK_AGAIN);
    }
  }

  /** Take a part of the file in; return whether there may be more. */
  take(text) {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop();
    for (const line of lines) {
      this.loaded += ENCODER.encode(line).length + 1;
      this.takeLine(line);
    }
    this.begin();
    return this.loaded < CONTENT_LIMIT;
  }

  takeLine(line) {
    let read;
    try {
      read = JSON.parse(line);
    } catch {
      return; // not ours, or cut off by a crash
    }
    if (!this.hasHead) {
      this.hasHead = true;
      this.size = { columns: read.width || 80, rows: read.height || 24 };
      this.setSize(this.size);
      return;
    }
    if (!Array.isArray(read) || typeof read[0] !== "number" || typeof read[2] !== "string") {
      return;
    }
    const event = { at: read[0], kind: read[1], text: read[2] };
    if (event.kind === "m") {
      this.marks.push(event);
      this.marksChanged = true;
    }
    this.events.push(event);
    this.length = Math.max(this.length, event.at);
  }

  /** Show what is known so far; go where the address says once that is there. */
  begin() {
    this.showMarks();
    this.showState();
    if (this.hasBegun || !this.events.length) {
      return;
    }
    const start = Number(this.root.dataset.start) || 0;
    if (this.events.at(-1).at >= start || start > this.length) {
      this.hasBegun = true;
      this.seek(start);
    }
  }

  // The screen

  setSize({ columns, rows }) {
    this.terminal.resize(Math.min(Math.max(columns, 2), 1000), Math.min(Math.max(rows, 1), 500));
    this.fit();
  }

  fit() {
    const room = this.root.clientWidth - 40;
    const size = Math.floor((room / (this.terminal.cols * this.ratio)) * 2) / 2;
    this.terminal.options.fontSize = Math.min(Math.max(size, SMALLEST), LARGEST);
  }

  write(text) {
    return new Promise((resolve) => {
      this.terminal.write(text, resolve);
    });
  }

  /** Show every event up to `moment`, a piece at a time, so that the page stays alive. */
  async showUntil(moment, isCurrent) {
    let text = "";
    const flush = async () => {
      if (text) {
        const piece = text;
        text = "";
        await this.write(piece);
      }
    };
    while (this.index < this.events.length && this.events[this.index].at <= moment) {
      const event = this.events[this.index];
      this.index += 1;
      if (event.kind === "o") {
        text += event.text;
        this.shown += event.text.length;
      } else if (event.kind === "r") {
        await flush();
        if (!isCurrent()) {
          return;
        }
        const [columns, rows] = event.text.split("x").map(Number);
        this.setSize({ columns, rows });
      }
      if (text.length >= WRITE || this.shown >= FRAME_EVERY) {
        await flush();
        if (!isCurrent()) {
          return;
        }
        this.keepFrame();
      }
    }
    await flush();
  }

  keepFrame() {
    if (this.shown < FRAME_EVERY || this.frames.length >= MOST_FRAMES || this.index <= (this.frames.at(-1)?.index ?? 0)) {
      return;
    }
    this.shown = 0;
    this.frames.push({
      index: this.index,
      at: this.events[this.index - 1].at,
      columns: this.terminal.cols,
      rows: this.terminal.rows,
      state: this.serializer.serialize({ scrollback: 500 }),
    });
  }

  async seek(moment) {
    const target = Math.min(Math.max(moment, 0), this.length);
    this.turn = (this.turn ?? 0) + 1;
    const turn = this.turn;
    const isCurrent = () => turn === this.turn && !this.stop.signal.aborted;
    const isBack = target < this.position;
    this.position = target;
    this.isSeeking = true;
    this.showState();
    await this.write(""); // what is on its way arrives before the screen is changed
    if (!isCurrent()) {
      return;
    }
    const frame = this.frames.findLast((one) => one.at <= target);
    if (isBack || (frame && frame.index > this.index)) {
      this.terminal.reset();
      this.setSize(frame ?? this.size);
      this.index = frame?.index ?? 0;
      this.shown = 0;
      if (frame) {
        await this.write(frame.state);
      }
    }
    if (isCurrent()) {
      await this.showUntil(target, isCurrent);
    }
    if (isCurrent()) {
      this.isSeeking = false;
      this.showState();
    }
  }

  // Time

  toggle() {
    if (this.isPlaying) {
      this.pause();
    } else {
      this.play();
    }
  }

  async play() {
    if (this.position >= this.length) {
      await this.seek(0);
    }
    this.isPlaying = true;
    this.lastTick = performance.now();
    this.showState();
    this.frame = requestAnimationFrame((now) => this.tick(now));
  }

  pause() {
    this.isPlaying = false;
    cancelAnimationFrame(this.frame);
    this.showState();
  }

  async tick(now) {
    if (!this.isPlaying || this.stop.signal.aborted) {
      return;
    }
    const passed = Math.min(Math.max(now - this.lastTick, 0), 1000) / 1000;
    this.lastTick = now;
    if (!this.isSeeking) {
      this.position = Math.min(this.position + passed * this.speed, this.length);
      const next = this.events[this.index];
      if (this.idleField.checked && next && next.at - this.position > IDLE) {
        this.position = next.at - IDLE / 3;
      } else if (this.idleField.checked && !next) {
        this.position = this.length;
      }
      const turn = this.turn;
      await this.showUntil(this.position, () => turn === this.turn);
      if (this.position >= this.length) {
        this.pause();
        return;
      }
      this.showState();
    }
    this.frame = requestAnimationFrame((later) => this.tick(later));
  }

  setSpeed(speed) {
    this.speed = speed;
    this.speedField.value = String(speed);
  }

  // What is around it

  showState() {
    const label = this.isPlaying ? gettext("Pause") : gettext("Play");
    if (this.playButton.textContent !== label) {
      this.playButton.textContent = label;
    }
    this.seekBar.max = String(this.length);
    this.seekBar.value = String(this.position);
    const said = `${clock(this.position)} / ${clock(this.length)}`;
    if (this.time.textContent !== said) {
      this.time.textContent = said;
      this.seekBar.setAttribute("aria-valuetext", said);
      this.showCurrentMark();
    }
  }

  showMarks() {
    if (!this.marksChanged) {
      return;
    }
    this.marksChanged = false;
    this.page.querySelector("[data-marks-panel]").hidden = false;
    const list = this.page.querySelector("[data-marks]");
    list.replaceChildren(
      ...this.marks.map((mark) =>
        element(
          "li",
          {},
          element(
            "button",
            { type: "button", "data-seconds": mark.at },
            element("span", { class: "hit-time num", text: clock(mark.at) }),
            element("code", { class: "mono", text: mark.text }),
          ),
        ),
      ),
    );
    for (const tick of this.track.querySelectorAll("i")) {
      tick.remove();
    }
    for (const mark of this.marks.slice(0, MOST_TICKS)) {
      const tick = element("i", { "aria-hidden": "true" });
      tick.style.left = `${(mark.at / (this.length || 1)) * 100}%`;
      this.track.append(tick);
    }
    this.showCurrentMark();
  }

  showCurrentMark() {
    const at = this.marks.findLastIndex((mark) => mark.at <= this.position + 0.05);
    const buttons = this.page.querySelectorAll("[data-marks] button");
    if (at === this.currentMark && buttons[at]?.hasAttribute("aria-current")) {
      return;
    }
    buttons[this.currentMark]?.removeAttribute("aria-current");
    buttons[at]?.setAttribute("aria-current", "true");
    this.currentMark = at;
  }

  /** A place in a list was chosen: go there instead of to another page. */
  follow(event) {
    const place = event.target.closest("[data-seconds]");
    if (!place || place === this.root || event.ctrlKey || event.metaKey || event.shiftKey) {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    this.seek(Number(place.dataset.seconds));
  }

  key(event) {
    const isField = event.target.closest?.("textarea, select, [contenteditable], input:not([type=range], [type=checkbox])");
    const isButton = event.key === " " && event.target.closest?.("button, a, input[type=checkbox], summary");
    if (isField || isButton || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) {
      return;
    }
    const step = (by) => this.setSpeed(SPEEDS[Math.min(Math.max(SPEEDS.indexOf(this.speed) + by, 0), SPEEDS.length - 1)]);
    const acts = {
      " ": () => this.toggle(),
      ArrowLeft: () => this.seek(this.position - STEP),
      ArrowRight: () => this.seek(this.position + STEP),
      ArrowUp: () => step(1),
      ArrowDown: () => step(-1),
      "[": () => this.seek(this.marks.findLast((mark) => mark.at < this.position - 1)?.at ?? 0),
      "]": () => this.seek(this.marks.find((mark) => mark.at > this.position + 0.05)?.at ?? this.length),
      Home: () => this.seek(0),
      End: () => this.seek(this.length),
    };
    if (acts[event.key]) {
      event.preventDefault();
      acts[event.key]();
    }
  }
}

/** Play the recording that the element names. */
export function mount(root) {
  const replay = new Replay(root);
  return () => replay.unmount();
}
