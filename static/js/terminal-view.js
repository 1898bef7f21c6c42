// One terminal on the screen: xterm.js on a connection that comes back (terminal-stream.js).

import { FitAddon } from "../vendor/xterm/addon-fit.mjs";
import { Unicode11Addon } from "../vendor/xterm/addon-unicode11.mjs";
import { WebLinksAddon } from "../vendor/xterm/addon-web-links.mjs";
import { WebglAddon } from "../vendor/xterm/addon-webgl.mjs";
import { Terminal } from "../vendor/xterm/xterm.mjs";
import { announce } from "./announce.js";
import { dock } from "./dock.js";
import { csrfToken, element } from "./elements.js";
import { Appearance, loadFont, look, textSize } from "./terminal-appearance.js";
import { Blocks, LineEditor, isAnswer, isMovement } from "./terminal-bytes.js";
import { chooser } from "./terminal-chooser.js";
import { filesMenu } from "./terminal-files.js";
import { forget, remember } from "./terminal-memory.js";
import { Notices } from "./terminal-notices.js";
import { button, menuItem, opener } from "./terminal-parts.js";
import { People } from "./terminal-people.js";
import { Search } from "./terminal-search.js";
import { TerminalStream, TicketRefused, randomId } from "./terminal-stream.js";
import { amount, words } from "./terminal-words.js";
import { toast } from "./toast.js";

const SCROLLBACK = 10000;
const LARGE_PASTE = 5000;
const STDERR = 2;
/** A terminal that is wider than a watcher's pane is drawn smaller, but not smaller than this. */
const SMALLEST_TEXT = 7;
/** What clears the screen in its place among the bytes: the terminal may not have drawn yet what came before. */
const CLEAR = "\x1bc";
const SIZE_REST = 60;

const encoder = new TextEncoder();

/** Ask for a ticket: for something new, or for a session that is open. Throws `TicketRefused`. */
async function issueTicket(params, session) {
  const fields = session
    ? { session }
    : {
        host: params.host,
        container: params.container,
        kind: params.kind ?? "exec",
        command: params.command ?? "",
        user: params.user ?? "",
      };
  if (params.title) {
    fields.title = params.title;
  }
  const answer = await fetch("/terminals/tickets/", {
    method: "POST",
    body: new URLSearchParams(fields),
    headers: { "X-CSRFToken": csrfToken(), Accept: "application/json" },
  });
  const said = await answer.json().catch(() => ({}));
  if (answer.ok && said.ticket) {
    return said;
  }
  if (answer.ok || answer.redirected || answer.status === 401) {
    throw new TicketRefused(gettext("You are signed out. Sign in again, in another tab, to go on."), { isFinal: !session });
  }
  const cause = said.errors ? Object.values(said.errors).join(" ") : said.message;
  throw new TicketRefused(cause || gettext("The console refused to open a terminal here."), {
    isFinal: answer.status < 500 && answer.status !== 429,
    code: said.code,
    next: said.next_step ?? "",
  });
}

export class TerminalView {
  /** `params`: host, container, name, kind, command, user, title; of one that is open: session and viewer. */
  constructor({ session = null, viewer = null, columns = null, rows = null, rests = false, ...params }) {
    this.params = params;
    this.key = params.key ?? `terminal:${randomId()}`;
    this.session = session;
    this.viewer = viewer ?? randomId();
    this.size = columns && rows ? { columns, rows } : null; // of the pane, in cells
    this.pty = null; // of the terminal itself, once it is known
    this.state = "connecting";
    this.rests = rests;
    this.isClosed = false;
    this.hasEnded = false; // the process, not just the connection to it
    this.types = true;
    this.owns = !session;
    this.isGuest = false; // the terminal was somebody else's when it was first seen here
    this.tab = null;
    this.stream = null;
    this.build();
  }

  build() {
    this.terminal = new Terminal({
      allowProposedApi: true,
      cols: this.size?.columns ?? 80,
      rows: this.size?.rows ?? 24,
      convertEol: false,
      cursorBlink: !window.matchMedia("(prefers-reduced-motion: reduce)").matches,
      lineHeight: 1.15,
      scrollback: SCROLLBACK,
      screenReaderMode: false,
      linkHandler: { activate: (_event, address) => this.offerLink(address) },
      ...look(),
    });
    this.people = new People(this);
    this.appearance = new Appearance(this);
    this.notices = new Notices();
    this.search = new Search({
      terminal: this.terminal,
      onToggle: (isOpen) => {
        this.resize();
        if (!isOpen) {
          this.focus();
        }
      },
    });
    this.status = element("span", { class: "stream-state", "data-state": "connecting", role: "status" });
    this.latency = element("span", { class: "muted small num terminal-latency", title: gettext("Time to the console and back") });
    this.where = element("span", { class: "truncate mono small terminal-where" });
    this.recorded = element("span", { class: "terminal-recorded", hidden: true, title: gettext("What happens here is recorded.") },
      element("span", { class: "terminal-recorded-word", text: gettext("Recorded") }));
    this.screen = element("div", { class: "terminal-screen" });
    this.notice = element("div", { class: "stream-notice", hidden: true });
    this.bar = this.makeBar();
    this.root = element(
      "div",
      { class: "terminal" },
      this.bar,
      this.search.root,
      this.notices.root,
      element("div", { class: "terminal-body" }, this.screen, this.notices.hintPlace),
      this.notice,
    );
    this.lines = new LineEditor({
      echo: (text) => this.terminal.write(text),
      send: (text) => this.write(text),
      end: () => this.stream?.end(),
    });
    this.describe();
  }

  makeBar() {
    const choose = () => this.choose();
    const search = () => this.search.toggle(!this.search.isOpen);
    const moves = () => this.moveToDock();
    const mayChoose = this.params.container && this.params.kind !== "attach";
    this.moveButton = button(gettext("Move to dock"), moves, { name: "dock", foldable: true });
    this.moveItem = menuItem(gettext("Move to dock"), moves, { name: "dock", foldable: true });
    this.endItem = menuItem(gettext("End this terminal"), () => this.finish(), { name: "end", danger: true });
    const more = element(
      "div",
      { class: "menu", role: "menu", popover: "auto", "aria-label": gettext("More") },
      menuItem(gettext("Search"), search, { name: "search", foldable: true }),
      mayChoose ? menuItem(gettext("Run another…"), choose, { name: "choose", foldable: true }) : null,
      this.moveItem,
      this.params.container ? menuItem(gettext("New terminal"), () => this.another(), { name: "another" }) : null,
      menuItem(gettext("Select everything"), () => this.terminal.selectAll(), { name: "select-all" }),
      this.endItem,
    );
    return element(
      "div",
      { class: "stream-bar terminal-bar", role: "toolbar", "aria-label": gettext("Terminal") },
      this.status,
      this.where,
      this.latency,
      element("span", { class: "stream-gap" }),
      this.recorded,
      this.people.button,
      this.people.panel,
      element("span", { class: "terminal-slot", "data-slot": "files" }, ...(this.params.container ? filesMenu(this) : [])),
      mayChoose ? button(gettext("Run another…"), choose, { name: "choose", foldable: true }) : null,
      button(gettext("Search"), search, { name: "search", foldable: true }),
      this.appearance.button,
      this.appearance.panel,
      this.moveButton,
      opener("more", gettext("More"), { name: "more", kind: "menu" }),
      more,
    );
  }

  describe() {
    const command = this.params.command || (this.params.kind === "attach" ? gettext("main process") : gettext("shell"));
    const who = this.params.user ? `${this.params.user}@` : "";
    const name = this.params.title || this.params.name || "";
    this.where.textContent = this.params.container ? `${who}${name} · ${command}` : name;
  }

  // Life

  /** Draw the terminal and connect it; one that rests waits until the person opens it. */
  async begin() {
    await loadFont();
    if (this.isClosed) {
      return;
    }
    this.fit = new FitAddon();
    this.terminal.loadAddon(this.fit);
    this.terminal.loadAddon(new Unicode11Addon());
    this.terminal.unicode.activeVersion = "11";
    this.terminal.loadAddon(new WebLinksAddon((_event, address) => this.offerLink(address)));
    this.terminal.open(this.screen);
    this.useGraphics();
    this.terminal.onData((text) => this.type(text));
    this.terminal.onBinary((text) => this.type(text, { isBinary: true }));
    this.terminal.attachCustomKeyEventHandler((event) => this.onKey(event));
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(this.screen);
    this.appearance.begin();
    if (this.rests) {
      this.hasEnded = true;
      this.end(gettext("Nothing runs here now."), gettext("A reload runs no command again."));
    } else {
      this.connect();
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

  connect() {
    this.hideNotice();
    this.notices.clear();
    this.hasEnded = false;
    this.wasOpened = false;
    this.tty = true;
    this.types = true;
    this.owns = !this.session;
    this.locked = false;
    this.isOld = false;
    this.pty = null;
    this.resize();
    const { columns, rows } = this.size ?? { columns: this.terminal.cols, rows: this.terminal.rows };
    this.stream = new TerminalStream({
      issue: (session) => issueTicket(this.params, session),
      session: this.session,
      viewer: this.viewer,
      columns,
      rows,
      hooks: {
        onState: (state) => this.setState(state),
        onOpened: (frame) => this.onOpened(frame),
        onReset: (frame) => this.onReset(frame),
        onOutput: (bytes, rendered, about) => this.render(bytes, rendered, about),
        onFrame: (frame) => this.onFrame(frame),
        onWaiting: (size) => this.showWaiting(size),
        onLatency: (milliseconds) => {
          this.latency.textContent = interpolate(gettext("%s ms"), [milliseconds]);
        },
        onEnd: (frame) => this.onEnd(frame),
      },
    });
    this.setState(this.stream.state);
    this.stream.start();
  }

  /** What the dock or the page needs to bring this terminal back. */
  serialize() {
    const isOpen = Boolean(this.session) && !this.hasEnded;
    return {
      ...this.params,
      key: this.key,
      ...(isOpen ? { session: this.session, viewer: this.viewer, ...this.size } : {}),
      // A tab that nobody looks at comes back at once, too: else its shell would be given up.
      wakes: isOpen,
      // A command of the person's own never runs by itself: it would do its work twice.
      rests: !isOpen && (this.hasEnded || Boolean(this.params.command) || !this.params.container),
    };
  }

  save() {
    if (this.tab) {
      dock.save();
    } else if (this.session && !this.hasEnded && this.params.container) {
      remember(this.serialize());
    } else {
      forget(this.key);
    }
  }

  /** The person closes the terminal: what runs in it ends, unless it is somebody else's. */
  close() {
    this.isClosed = true;
    forget(this.key);
    this.stream?.part(this.owns ? "close" : "leave");
    this.stream = null;
    this.people.clear();
    this.appearance.end();
    this.observer?.disconnect();
    this.terminal.dispose();
  }

  /** End what runs, and leave its last screen; or go, when it is somebody else's. */
  finish() {
    if (this.owns) {
      this.stream?.send({ type: "close" });
    } else {
      this.tab?.close();
    }
  }

  reopen(changes = {}) {
    Object.assign(this.params, changes);
    this.describe();
    this.stream?.part(this.owns ? "close" : "leave");
    this.session = null;
    this.viewer = randomId();
    this.terminal.write(CLEAR);
    this.search.renew();
    this.connect();
    this.tab?.setTitle(this.title());
  }

  // Somebody brought the same tab back elsewhere; here it goes on as one more.
  joinAgain() {
    this.viewer = randomId();
    this.connect();
  }

  // What comes

  onOpened(frame) {
    const isFirst = !this.wasOpened;
    this.wasOpened = true;
    this.session = frame.session;
    this.tty = frame.tty;
    this.types = frame.types;
    this.owns = frame.owns;
    this.params.name ||= frame.name;
    this.terminal.options.convertEol = !frame.tty;
    this.recorded.hidden = !frame.recorded;
    this.setLocked(frame.locked);
    this.describe();
    this.showRights();
    this.save();
    if (isFirst) {
      this.isGuest = !frame.owns;
      // It may have begun because somebody else started the container, while this reader types elsewhere.
      const typing = document.activeElement?.closest("input, textarea, select");
      if (!typing || this.root.contains(typing)) {
        this.focus();
      }
    }
  }

  onReset({ lost, preamble }) {
    this.blocks = new Blocks();
    this.decoders = new Map();
    this.terminal.write(encoder.encode(`${CLEAR}${preamble ?? ""}`));
    this.search.renew();
    if (lost > 0) {
      this.notices.show("skipped", interpolate(gettext("… %s were skipped."), [amount(lost)]), {
        detail: gettext("The connection was too slow for them, or away for too long."),
      });
    }
  }

  render(bytes, rendered, { isOld }) {
    const parsed = () => {
      this.isOld = false;
      rendered();
      this.showCursor();
    };
    if (isOld) {
      // Said when the terminal comes to these bytes, which is later.
      this.terminal.write("", () => {
        this.isOld = true;
      });
    }
    if (this.tty) {
      this.terminal.write(bytes, parsed);
      return;
    }
    // Two pipes instead of a PTY; standard error is red. Each has a decoder of its own, since what one writes may come
    // between the bytes of a letter of the other.
    let text = "";
    this.blocks.feed(bytes, (channel, part) => {
      const decoder = this.decoders.get(channel) ?? new TextDecoder();
      this.decoders.set(channel, decoder);
      const piece = decoder.decode(part, { stream: true });
      text += channel === STDERR ? `\x1b[31m${piece}\x1b[0m` : piece;
    });
    this.terminal.write(text, parsed);
  }

  onFrame(frame) {
    if (frame.type === "size" && this.tty) {
      this.pty = { columns: frame.columns, rows: frame.rows };
      this.applySize();
    } else if (frame.type === "present") {
      this.people.update(frame.viewers);
      const mine = frame.viewers.find((viewer) => this.people.isMine(viewer));
      if (mine) {
        this.types = mine.types;
        this.owns = mine.owns;
        this.showRights();
      }
      this.applySize();
    } else if (frame.type === "notice") {
      this.onNotice(frame);
    }
  }

  onNotice({ code, by, text }) {
    if (code === "message") {
      this.notices.show("message", by ? interpolate(gettext("%s says:"), [by]) : gettext("A message:"), { detail: text });
    } else if (code === "locked" || code === "unlocked") {
      this.setLocked(code === "locked", by);
    } else if (code === "unrecorded") {
      this.recorded.hidden = true;
      this.notices.show("recording", gettext("This terminal is no longer recorded."), { level: "warning" });
    } else if (code === "idle") {
      this.notices.show("idle", interpolate(gettext("Without input, this terminal ends in %s s."), [text]), { level: "warning" });
    } else if (code === "rights") {
      this.types = text === "types";
      this.notices.show("rights", this.types ? gettext("You may type now.") : gettext("From now on you only watch."));
      this.showRights();
    } else if (code === "owner") {
      this.owns = true;
      this.notices.show("rights", gettext("This terminal is yours now."));
      this.showRights();
    }
  }

  setLocked(locked, by = "") {
    this.locked = locked;
    if (locked) {
      const text = by ? interpolate(gettext("%s has locked this terminal."), [by]) : gettext("This terminal is locked.");
      this.notices.show("locked", text, { level: "warning", detail: gettext("It takes no input until it is unlocked."), stays: true });
    } else {
      this.notices.hide("locked");
    }
  }

  showRights() {
    this.root.dataset.watches = String(!this.types);
    // To run something else would end what runs, and that is its owner's to do.
    this.bar.querySelectorAll('[data-name="choose"]').forEach((choice) => {
      choice.hidden = !this.owns;
    });
    this.endItem.textContent = this.owns ? gettext("End this terminal") : gettext("Leave this terminal");
    this.people.show();
  }

  // How it ends

  onEnd(frame) {
    this.stream = null;
    this.hasEnded = frame.type !== "dismissed";
    if (frame.type === "choose") {
      this.end(frame.message, frame.next_step, { commands: frame.commands });
      return;
    }
    const [message, next] = words(frame);
    this.end(message, next, {
      isElsewhere: frame.type === "dismissed" && frame.reason !== "removed",
      needsApproval: frame.code === "approval_needed" || frame.reason === "approval_over",
    });
  }

  end(message, next, { commands = [], isElsewhere = false, needsApproval = false } = {}) {
    this.setState("ended");
    this.latency.textContent = "";
    this.recorded.hidden = true;
    this.people.clear();
    this.notices.clear();
    const actions = commands.map((command) =>
      button(command, () => this.reopen({ command }), { variant: "outline", name: "command" }),
    );
    if (isElsewhere) {
      actions.push(button(gettext("Use it here"), () => this.joinAgain(), { variant: "outline", name: "join" }));
    } else if (actions.length > 0) {
      actions.push(chooser(this.params, (changes) => this.reopen(changes)));
    } else if (this.params.container && !this.isGuest) {
      actions.push(button(gettext("Open again"), () => this.reopen(), { variant: "outline", name: "again" }));
    }
    if (needsApproval && this.params.container) {
      const ask = button(gettext("Ask for a shell…"), () => {}, { name: "ask" });
      ask.dataset.dialogUrl = `/terminals/approvals/ask/${this.params.host}/${this.params.container}/`;
      actions.unshift(ask);
    }
    this.notice.replaceChildren(
      element(
        "div",
        {},
        element("strong", { text: message }),
        next ? element("span", { class: "stream-next", text: next }) : null,
      ),
      element("div", { class: "row" }, ...actions),
    );
    this.notice.hidden = false;
    announce(message);
    this.pty = null;
    this.resize();
    this.save();
  }

  /** Let the person set user and command; the running process ends only when they open the new one. */
  choose() {
    if (this.state !== "ended" && !this.notice.hidden) {
      this.hideNotice();
      return;
    }
    this.notice.replaceChildren(
      element("strong", { text: gettext("Run another command, or as another user. What runs now will be ended.") }),
      element("div", { class: "row" }, chooser(this.params, (changes) => this.reopen(changes))),
    );
    this.notice.hidden = false;
    this.notice.querySelector("input")?.focus();
    this.resize();
  }

  hideNotice() {
    this.notice.hidden = true;
    this.notice.replaceChildren();
    this.resize();
  }

  setState(state) {
    this.state = state;
    const text = {
      connecting: gettext("Connecting…"),
      live: gettext("Connected"),
      reconnecting: gettext("Reconnecting…"),
      ended: gettext("Ended"),
    };
    this.status.dataset.state = this.root.dataset.state = state;
    this.status.textContent = text[state];
    this.endItem.disabled = state !== "live";
    if (state !== "live") {
      this.latency.textContent = "";
    }
    if (state !== "reconnecting") {
      this.notices.hint("");
    }
    this.tab?.setStatus({ live: "live", ended: "ended", reconnecting: "connecting" }[state] ?? "idle");
  }

  /** What was typed without a connection is kept, and that is said. */
  showWaiting(size) {
    if (this.state !== "reconnecting") {
      return;
    }
    const why = this.stream?.problem instanceof TicketRefused ? this.stream.problem.message : gettext("The connection was lost; the terminal goes on.");
    const waiting = size > 0 ? interpolate(gettext("What you type is kept: %s wait."), [amount(size)]) : gettext("What you type is kept.");
    this.notices.hint(`${why} ${waiting}`, { stays: true });
  }

  // What the person does

  type(text, { isBinary = false } = {}) {
    if (this.state === "ended") {
      if (text === "\r" && !isBinary) {
        this.notice.querySelector('[data-name="again"], [data-name="join"]')?.click();
      }
      return;
    }
    if (isAnswer(text)) {
      if (this.isOld || !this.people.answers || !this.types || this.locked) {
        return;
      }
    } else if (!this.types || this.locked) {
      if (!isMovement(text)) {
        this.notices.hint(this.locked ? gettext("The terminal is locked.") : gettext("You watch this terminal; its owner can let you type."));
      }
      return;
    }
    this.notices.hide("idle");
    if (text.length > LARGE_PASTE) {
      const kilobytes = Math.ceil(text.length / 1000);
      announce(interpolate(gettext("Pasting %s kB."), [kilobytes]));
    }
    if (isBinary) {
      this.write(Uint8Array.from(text, (letter) => letter.charCodeAt(0)));
    } else if (this.tty) {
      this.write(text);
    } else {
      this.lines.type(text);
    }
  }

  write(input) {
    // Whether a main process has a TTY, and what its input means, is not known before it answers.
    const isKnown = this.wasOpened || this.params.kind !== "attach";
    if (isKnown && this.stream && !this.stream.write(input)) {
      toast({
        level: "warning",
        title: gettext("What you typed was not kept"),
        detail: gettext("Too much waits for the connection already."),
        next: gettext("Type it again once the terminal is connected."),
      });
    }
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
      this.search.toggle(true);
      return false;
    }
    return true;
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

  // Where it is

  title() {
    if (this.params.title) {
      return this.params.title;
    }
    return this.params.command ? `${this.params.name}: ${this.params.command}` : (this.params.name ?? "");
  }

  rename(title) {
    this.params.title = title;
    this.describe();
    this.tab?.setTitle(this.title());
    this.save();
  }

  /** One more in the same container. */
  another() {
    const { host, container, name, user = "" } = this.params;
    const key = `terminal:${randomId()}`;
    dock.open({ kind: "terminal", key, title: name, params: { host, container, name, user, kind: "exec", key } });
  }

  moveToDock() {
    forget(this.key);
    dock.open({ kind: "terminal", key: this.key, title: this.title(), params: this.serialize() });
  }

  place(container, tab) {
    this.tab = tab;
    this.moveButton.hidden = this.moveItem.hidden = Boolean(tab);
    container.replaceChildren(this.root);
    this.root.classList.toggle("in-dock", Boolean(tab));
    if (tab) {
      this.setState(this.state);
    }
    this.resize();
  }

  // Size: the pane has room for so many cells, but the terminal has the size of the smallest of those who type.

  resize() {
    if (this.fit && this.screen.clientWidth > 20 && this.screen.clientHeight > 20) {
      const room = this.fit.proposeDimensions();
      if (room?.cols && room.rows) {
        // Measured with the text as it is drawn now, which may be smaller than the person's own.
        const shrunk = this.terminal.options.fontSize / textSize();
        this.size = { columns: Math.floor(room.cols * shrunk) || 1, rows: Math.floor(room.rows * shrunk) || 1 };
        this.applySize();
        clearTimeout(this.sizeTimer);
        this.sizeTimer = setTimeout(() => this.stream?.resize(this.size.columns, this.size.rows), SIZE_REST);
      }
    }
  }

  applySize() {
    const { columns, rows } = this.pty ?? this.size ?? { columns: this.terminal.cols, rows: this.terminal.rows };
    const isKnown = this.pty !== null && this.size !== null;
    if (isKnown && !this.types) {
      const ratio = Math.min(1, this.size.columns / columns);
      const text = Math.max(SMALLEST_TEXT, Math.floor(textSize() * ratio));
      if (this.terminal.options.fontSize !== text) {
        this.terminal.options.fontSize = text;
      }
    } else if (this.terminal.options.fontSize !== textSize()) {
      this.terminal.options.fontSize = textSize();
    }
    if (this.terminal.cols !== columns || this.terminal.rows !== rows) {
      this.terminal.resize(columns, rows);
    }
    const isBoxed = isKnown && this.people.hasCompany && (columns < this.size.columns || rows < this.size.rows);
    this.root.dataset.boxed = String(isBoxed);
    this.screen.title = isBoxed
      ? interpolate(gettext("%s × %s cells: as many as fit for everybody who types."), [columns, rows])
      : "";
  }

  // Of a terminal that is higher than a watcher's pane, the part that is written to is shown.
  showCursor() {
    const { screen } = this;
    if (screen.scrollHeight > screen.clientHeight) {
      const { cursorY } = this.terminal.buffer.active;
      const line = screen.scrollHeight / this.terminal.rows;
      const top = Math.max(0, (cursorY + 1) * line - screen.clientHeight);
      screen.scrollTop = Math.min(Math.max(screen.scrollTop, top), cursorY * line);
    }
  }

  focus() {
    if (this.notice.hidden && !this.search.isOpen && this.fit) {
      this.terminal.focus();
    }
  }
}
