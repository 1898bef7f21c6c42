// A terminal: xterm.js on a stream. It lives in a page or in the dock, and moves from one to the other while it runs.
//
// The frames are those of console/terminals/protocol.py:
/**
 * @typedef {{type: "open", ticket: string, columns: number, rows: number}} Open
 * @typedef {{type: "resize", columns: number, rows: number}} Resize
 * @typedef {{type: "ack", bytes: number}} Ack
 * @typedef {{type: "ping", at: number}} Ping
 * @typedef {{type: "end"}} End
 * @typedef {{type: "opened", session: string, tty: boolean, window: number}} Opened
 * @typedef {{type: "exit", code: number|null}} Exit
 * @typedef {{type: "pong", at: number}} Pong
 * @typedef {{type: "taken", bytes: number}} Taken
 * @typedef {{type: "choose", message: string, next_step: string, commands: string[]}} Choose
 * @typedef {{type: "error", code: string, message: string, next_step: string}} Problem
 */

import { FitAddon } from "../vendor/xterm/addon-fit.mjs";
import { SearchAddon } from "../vendor/xterm/addon-search.mjs";
import { Unicode11Addon } from "../vendor/xterm/addon-unicode11.mjs";
import { WebLinksAddon } from "../vendor/xterm/addon-web-links.mjs";
import { WebglAddon } from "../vendor/xterm/addon-webgl.mjs";
import { Terminal } from "../vendor/xterm/xterm.mjs";
import { announce } from "./announce.js";
import { dock } from "./dock.js";
import { csrfToken, element } from "./elements.js";
import { openStream } from "./stream.js";
import { toast } from "./toast.js";

const FONT = '"JetBrains Mono Variable", ui-monospace, monospace';
const FONT_STORE = "pilothouse.terminal.font";
const SMALLEST = 8;
const LARGEST = 28;
const SCROLLBACK = 10000;
const LARGE_PASTE = 5000;
const GOING_AWAY = 1012;
const STDERR = 2;
const END_OF_INPUT = "\x04";

const COLOURS = {
  background: "#0f1218",
  foreground: "#e3e7ee",
  cursor: "#8db4ff",
  cursorAccent: "#0f1218",
  selectionBackground: "#35507f",
  black: "#20252f",
  red: "#f2777a",
  green: "#7fd49b",
  yellow: "#f0c674",
  blue: "#7cacf8",
  magenta: "#c99af5",
  cyan: "#67d4d8",
  white: "#cfd6e1",
  brightBlack: "#6b7587",
  brightRed: "#ff9c9e",
  brightGreen: "#a2ecb9",
  brightYellow: "#ffe09b",
  brightBlue: "#a8c9ff",
  brightMagenta: "#e0bdff",
  brightCyan: "#98edf0",
  brightWhite: "#ffffff",
};

/** Terminals that run, by key, so that a page and the dock can hand one over without a break. */
const running = new Map();

async function issueTicket(params) {
  const body = new URLSearchParams({
    host: params.host,
    container: params.container,
    kind: params.kind ?? "exec",
    command: params.command ?? "",
    user: params.user ?? "",
  });
  const answer = await fetch("/terminals/tickets/", {
    method: "POST",
    body,
    headers: { "X-CSRFToken": csrfToken(), Accept: "application/json" },
  });
  const said = await answer.json().catch(() => ({}));
  if (answer.ok) {
    return said.ticket;
  }
  const cause = said.errors ? Object.values(said.errors).join(" ") : said.message;
  throw new Error(cause || gettext("The console refused to open a terminal here."));
}

function fontSize() {
  const stored = Number(localStorage.getItem(FONT_STORE));
  return stored >= SMALLEST && stored <= LARGEST ? stored : 13;
}

function button(label, run, { name = null, variant = "ghost" } = {}) {
  return element("button", {
    type: "button",
    class: "btn",
    "data-variant": variant,
    "data-size": "xs",
    "data-name": name,
    text: label,
    on: { click: run },
  });
}

class TerminalView {
  constructor(params) {
    this.params = params;
    this.key = params.key ?? `terminal:${crypto.randomUUID()}`;
    this.state = "connecting";
    this.isClosed = false;
    this.hasEnded = false; // the process, not just the connection to it
    this.tab = null;
    this.stream = null;
    this.build();
    running.set(this.key, this);
  }

  build() {
    this.status = element("span", { class: "stream-state", "data-state": "connecting", role: "status" });
    this.latency = element("span", { class: "muted small num", title: gettext("Time to the console and back") });
    this.where = element("span", { class: "truncate mono small" });
    this.screen = element("div", { class: "terminal-screen" });
    this.notice = element("div", { class: "stream-notice", hidden: true });
    this.searchField = element("input", {
      class: "input",
      type: "search",
      placeholder: gettext("Search in the scrollback"),
      "aria-label": gettext("Search in the scrollback"),
      on: {
        input: () => this.find(1),
        keydown: (event) => {
          if (event.key === "Enter") {
            event.preventDefault();
            this.find(event.shiftKey ? -1 : 1);
          } else if (event.key === "Escape") {
            this.toggleSearch(false);
          }
        },
      },
    });
    this.search = element("div", { class: "stream-search", hidden: true }, this.searchField);
    this.moveButton = button(gettext("Move to dock"), () => this.moveToDock(), { name: "dock" });
    this.bar = element(
      "div",
      { class: "stream-bar", role: "toolbar", "aria-label": gettext("Terminal") },
      this.status,
      this.where,
      this.latency,
      element("span", { class: "stream-gap" }),
      this.params.kind === "attach" ? null : button(gettext("Run another…"), () => this.choose(), { name: "choose" }),
      button(gettext("Search"), () => this.toggleSearch(this.search.hidden), { name: "search" }),
      button("A−", () => this.zoom(-1), { name: "smaller" }),
      button("A+", () => this.zoom(1), { name: "larger" }),
      this.moveButton,
    );
    this.bar.querySelector('[data-name="smaller"]').setAttribute("aria-label", gettext("Smaller text"));
    this.bar.querySelector('[data-name="larger"]').setAttribute("aria-label", gettext("Larger text"));
    this.root = element("div", { class: "terminal" }, this.bar, this.search, this.screen, this.notice);
    this.describe();
  }

  describe() {
    const command = this.params.command || (this.params.kind === "attach" ? gettext("main process") : gettext("shell"));
    const who = this.params.user ? `${this.params.user}@` : "";
    this.where.textContent = `${who}${this.params.name ?? ""} · ${command}`;
  }

  /** Draw the terminal and connect it; one that `rests` waits until the person opens it. */
  async begin({ rests = false } = {}) {
    await document.fonts.load(`13px ${FONT}`);
    if (this.isClosed) {
      return;
    }
    this.terminal = new Terminal({
      allowProposedApi: true,
      convertEol: false,
      cursorBlink: !window.matchMedia("(prefers-reduced-motion: reduce)").matches,
      fontFamily: FONT,
      fontSize: fontSize(),
      lineHeight: 1.15,
      scrollback: SCROLLBACK,
      screenReaderMode: false,
      theme: COLOURS,
      linkHandler: { activate: (_event, address) => this.offerLink(address) },
    });
    this.fit = new FitAddon();
    this.finder = new SearchAddon();
    this.terminal.loadAddon(this.fit);
    this.terminal.loadAddon(this.finder);
    this.terminal.loadAddon(new Unicode11Addon());
    this.terminal.unicode.activeVersion = "11";
    this.terminal.loadAddon(new WebLinksAddon((_event, address) => this.offerLink(address)));
    this.terminal.open(this.screen);
    this.useGraphics();
    this.terminal.onData((text) => this.type(text));
    this.terminal.onBinary((text) => this.stream?.write(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
    this.terminal.onResize(({ cols, rows }) => this.tellSize(cols, rows));
    this.terminal.attachCustomKeyEventHandler((event) => this.onKey(event));
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.screen);
    this.resize();
    if (rests) {
      this.hasEnded = true;
      this.end(gettext("Nothing runs here now."), gettext("A reload runs no command again."));
    } else {
      await this.connect();
    }
  }

  // The graphics card draws faster; without one xterm.js draws with elements.
  useGraphics() {
    try {
      const graphics = new WebglAddon();
      graphics.onContextLoss(() => graphics.dispose());
      this.terminal.loadAddon(graphics);
    } catch (problem) {
      console.info("No WebGL; the terminal is drawn with elements.", problem);
    }
  }

  async connect() {
    this.setState("connecting");
    this.hideNotice();
    this.ending = null;
    this.hasEnded = false;
    this.tty = true;
    this.line = "";
    this.decoders = new Map();
    const ticket = issueTicket(this.params);
    const stream = openStream({
      path: "/ws/terminal/",
      // The socket opens while the ticket is on its way. Closed by then, it sends nothing: what nobody looks at any
      // more must not run.
      first: ticket.then((issued) => ({
        type: "open",
        ticket: issued,
        columns: this.terminal.cols,
        rows: this.terminal.rows,
      })),
      onBytes: (bytes, rendered) => this.render(bytes, rendered),
      onControl: (frame) => this.onControl(frame),
      onClose: (closed) => this.onClose(closed),
      onLatency: (milliseconds) => {
        this.latency.textContent = interpolate(gettext("%s ms"), [milliseconds]);
      },
    });
    this.stream = stream;
    try {
      await ticket;
    } catch (problem) {
      stream.close();
      if (this.stream === stream) {
        this.stream = null;
        this.end(gettext("The terminal could not be opened."), problem.message);
      }
    }
  }

  render(bytes, rendered) {
    if (this.tty) {
      this.terminal.write(bytes, rendered);
      return;
    }
    // Two pipes instead of a PTY: the first byte says which one, and standard error is red. Each has a decoder of its
    // own, since what one writes may come between the bytes of a letter of the other.
    const channel = bytes[0];
    let decoder = this.decoders.get(channel);
    if (!decoder) {
      decoder = new TextDecoder();
      this.decoders.set(channel, decoder);
    }
    const text = decoder.decode(bytes.subarray(1), { stream: true });
    this.terminal.write(channel === STDERR ? `\x1b[31m${text}\x1b[0m` : text, rendered);
  }

  onControl(frame) {
    if (frame.type === "opened") {
      this.tty = frame.tty;
      this.terminal.options.convertEol = !frame.tty;
      this.setState("live");
      // It may have begun because somebody else started the container, while this reader types elsewhere.
      const typing = document.activeElement?.closest("input, textarea, select");
      if (!typing || this.root.contains(typing)) {
        this.focus();
      }
    } else if (frame.type === "exit") {
      this.ending = { exit: frame.code };
    } else if (frame.type === "choose") {
      this.offered = frame;
    } else if (frame.type === "error") {
      this.ending = { message: frame.message, next: frame.next_step };
    }
  }

  onClose({ code, wasOpen }) {
    this.stream = null;
    const ending = this.ending;
    this.hasEnded = Boolean(this.offered ?? ending);
    if (this.offered) {
      const offered = this.offered;
      this.offered = null;
      this.end(offered.message, offered.next_step, { commands: offered.commands });
    } else if (ending && "exit" in ending) {
      this.end(
        ending.exit === null
          ? gettext("The process has ended.")
          : interpolate(gettext("The process ended with exit code %s."), [ending.exit]),
        "",
      );
    } else if (ending) {
      this.end(ending.message, ending.next);
    } else if (code === GOING_AWAY) {
      this.end(gettext("The console is restarting, and with it this terminal has ended."), gettext("Open it again."));
    } else if (wasOpen) {
      this.end(
        gettext("The connection to the console was lost, and the process was ended."),
        gettext("Open it again when the network is back."),
      );
    } else {
      this.end(gettext("The terminal could not be opened."), gettext("Check that you are signed in, then try again."));
    }
  }

  end(message, next, { commands = [] } = {}) {
    this.setState("ended");
    this.latency.textContent = "";
    const again = button(gettext("Open again"), () => this.reopen(), { variant: "outline", name: "again" });
    const choices = commands.map((command) =>
      button(command, () => this.reopen({ command }), { variant: "outline", name: "command" }),
    );
    this.notice.replaceChildren(
      element(
        "div",
        {},
        element("strong", { text: message }),
        next ? element("span", { class: "stream-next", text: next }) : null,
      ),
      element("div", { class: "row" }, ...choices, choices.length ? this.chooser() : again),
    );
    this.notice.hidden = false;
    announce(message);
    this.resize();
    dock.save();
  }

  chooser() {
    const command = element("input", {
      class: "input",
      name: "command",
      value: this.params.command ?? "",
      placeholder: gettext("Command, as in /bin/ash -l"),
      "aria-label": gettext("Command"),
      spellcheck: "false",
      autocomplete: "off",
    });
    const user = element("input", {
      class: "input",
      name: "user",
      value: this.params.user ?? "",
      placeholder: gettext("User"),
      "aria-label": gettext("User"),
      spellcheck: "false",
      autocomplete: "off",
    });
    return element(
      "form",
      {
        class: "stream-chooser",
        "hx-boost": "false",
        on: {
          submit: (event) => {
            event.preventDefault();
            this.reopen({ command: command.value.trim(), user: user.value.trim() });
          },
        },
      },
      command,
      user,
      element("button", { class: "btn", "data-size": "xs", type: "submit", text: gettext("Open") }),
    );
  }

  /** Let the person set user and command; the running process ends only when they open the new one. */
  choose() {
    if (this.state !== "ended" && !this.notice.hidden) {
      this.hideNotice();
      return;
    }
    this.notice.replaceChildren(
      element("strong", { text: gettext("Run another command, or as another user. What runs now will be ended.") }),
      element("div", { class: "row" }, this.chooser()),
    );
    this.notice.hidden = false;
    this.notice.querySelector("input")?.focus();
    this.resize();
  }

  async reopen(changes = {}) {
    Object.assign(this.params, changes);
    this.describe();
    const before = this.stream;
    if (before) {
      this.stream = null;
      before.close();
    }
    this.terminal.reset();
    this.hideNotice();
    await this.connect();
    this.tab?.setTitle(this.title());
  }

  hideNotice() {
    this.notice.hidden = true;
    this.notice.replaceChildren();
    this.resize();
  }

  setState(state) {
    this.state = state;
    const words = { connecting: gettext("Connecting…"), live: gettext("Connected"), ended: gettext("Ended") };
    this.status.dataset.state = state;
    this.status.textContent = words[state];
    this.tab?.setStatus(state === "live" ? "live" : state === "ended" ? "ended" : "idle");
  }

  type(text) {
    if (this.state !== "live") {
      if (this.state === "ended" && text === "\r" && this.notice.querySelector('[data-name="again"]')) {
        this.reopen();
      }
      return;
    }
    if (text.length > LARGE_PASTE) {
      const kilobytes = Math.ceil(text.length / 1000);
      announce(interpolate(gettext("Pasting %s kB."), [kilobytes]));
    }
    if (this.tty) {
      this.stream?.write(text);
    } else {
      this.typeLine(text);
    }
  }

  // A pipe has nobody who echoes, corrects and ends lines: that is done here.
  typeLine(text) {
    for (const letter of text.replace(/\r\n?/g, "\n")) {
      if (letter === "\n") {
        this.stream?.write(`${this.line}\n`);
        this.line = "";
        this.terminal.write("\r\n");
      } else if (letter === END_OF_INPUT) {
        if (this.line) {
          this.stream?.write(this.line);
          this.line = "";
        } else {
          this.stream?.end();
        }
      } else if (letter === "\x7f") {
        if (this.line) {
          this.line = [...this.line].slice(0, -1).join("");
          this.terminal.write("\b \b");
        }
      } else if (letter >= " " || letter === "\t") {
        this.line += letter;
        this.terminal.write(letter);
      }
    }
  }

  tellSize(columns, rows) {
    clearTimeout(this.sizeTimer);
    this.sizeTimer = setTimeout(() => this.stream?.control({ type: "resize", columns, rows }), 60);
  }

  onKey(event) {
    if (event.type !== "keydown" || !event.ctrlKey || !event.shiftKey) {
      return true;
    }
    if (event.code === "KeyC" && this.terminal.hasSelection()) {
      navigator.clipboard?.writeText(this.terminal.getSelection());
      event.preventDefault();
      return false;
    }
    if (event.code === "KeyF") {
      event.preventDefault();
      this.toggleSearch(true);
      return false;
    }
    return true;
  }

  toggleSearch(open) {
    this.search.hidden = !open;
    if (open) {
      this.searchField.focus();
      this.searchField.select();
    } else {
      this.finder.clearDecorations();
      this.focus();
    }
    this.resize();
  }

  find(direction) {
    const text = this.searchField.value;
    const options = { incremental: direction > 0 };
    const found = direction > 0 ? this.finder.findNext(text, options) : this.finder.findPrevious(text);
    this.searchField.setAttribute("aria-invalid", String(Boolean(text) && !found));
  }

  zoom(step) {
    const size = Math.min(LARGEST, Math.max(SMALLEST, this.terminal.options.fontSize + step));
    localStorage.setItem(FONT_STORE, String(size));
    this.terminal.options.fontSize = size;
    this.resize();
  }

  // What a container prints may call itself anything: a link opens only after a second, deliberate click.
  offerLink(address) {
    let target;
    try {
      target = new URL(address);
    } catch {
      return;
    }
    if (!["http:", "https:"].includes(target.protocol)) {
      return;
    }
    toast({
      level: "info",
      title: gettext("A link from the terminal"),
      detail: target.href,
      action: { label: gettext("Open in a new tab"), run: () => window.open(target.href, "_blank", "noopener,noreferrer") },
      stay: 15000,
    });
  }

  title() {
    return this.params.command ? `${this.params.name}: ${this.params.command}` : (this.params.name ?? "");
  }

  moveToDock() {
    dock.open({ kind: "terminal", key: this.key, title: this.title(), params: { ...this.params, key: this.key } });
  }

  place(container, tab) {
    this.tab = tab;
    this.moveButton.hidden = Boolean(tab);
    container.replaceChildren(this.root);
    this.root.classList.toggle("in-dock", Boolean(tab));
    if (tab) {
      this.setState(this.state);
    }
    this.resize();
  }

  resize() {
    if (this.fit && this.screen.clientWidth > 20 && this.screen.clientHeight > 20) {
      this.fit.fit();
    }
  }

  focus() {
    if (this.notice.hidden && this.search.hidden) {
      this.terminal?.focus();
    }
  }

  close() {
    this.isClosed = true;
    running.delete(this.key);
    this.stream?.close();
    this.stream = null;
    this.observer?.disconnect();
    this.terminal?.dispose();
  }
}

function viewOf({ rests, ...params }) {
  const known = params.key ? running.get(params.key) : null;
  if (known) {
    return known;
  }
  const view = new TerminalView(params);
  view.begin({ rests });
  return view;
}

/** In a page: the terminal opens by itself, and moves to the dock when the reader goes elsewhere. */
export function mount(place) {
  const { host, container, name, kind, tty } = place.dataset;
  let view = null;
  const start = (params) => {
    view = new TerminalView({ host, container, name, kind: "exec", ...params });
    view.place(place.querySelector("[data-place]"), null);
    view.begin();
  };
  for (const choice of place.querySelectorAll("[data-open-kind]")) {
    choice.addEventListener("click", () => {
      view?.close();
      start({ kind: choice.dataset.openKind });
      for (const other of place.querySelectorAll("[data-open-kind]")) {
        other.setAttribute("aria-pressed", String(other === choice));
      }
    });
  }
  if (kind !== "none" && tty !== "never") {
    start({});
  }
  return () => {
    if (view && !view.tab) {
      if (view.state === "live") {
        view.moveToDock();
      } else {
        view.close();
      }
    }
  };
}

dock.register("terminal", (container, params, tab) => {
  const view = viewOf({ ...params, key: tab.key });
  view.place(container, tab);
  return {
    focus: () => view.focus(),
    resize: () => view.resize(),
    close: () => view.close(),
    // After a reload a shell opens by itself. A command of the person's own never does: it would do its work twice.
    serialize: () => ({ ...view.params, key: view.key, rests: view.hasEnded || Boolean(view.params.command) }),
  };
});
