// The connection of a terminal, which is lost and found again while the terminal itself lives on in the stream hub.
//
// Both directions are counted in bytes since the terminal began. Output goes on where this end has it until; input is
// kept until the hub has it, and sent once more from there: nothing is shown twice or typed twice, and nothing is lost.
//
// The frames are those of console/terminals/protocol.py:
/**
 * @typedef {{type: "open", ticket: string, viewer: string, columns: number, rows: number, from: number|null, typed: number}} Open
 * @typedef {{type: "resize", columns: number, rows: number}} Resize
 * @typedef {{type: "ack", offset: number}} Ack
 * @typedef {{type: "ping", at: number}} Ping
 * @typedef {{type: "end"}} End
 * @typedef {{type: "close"}} Close
 * @typedef {{type: "leave"}} Leave
 * @typedef {{type: "opened", session: string, tty: boolean, window: number, offset: number, end: number, reset: boolean, lost: number, preamble: string, taken: number, recorded: boolean, locked: boolean, types: boolean, owns: boolean, name: string}} Opened
 * @typedef {{type: "skipped", offset: number, lost: number, preamble: string}} Skipped
 * @typedef {{type: "taken", bytes: number}} Taken
 * @typedef {{type: "size", columns: number, rows: number}} Size
 * @typedef {{type: "present", viewers: object[]}} Present
 * @typedef {{type: "notice", code: string, by: string, text: string}} Notice
 * @typedef {{type: "exit", code: number|null, reason: string, by: string, message: string}} Exit
 * @typedef {{type: "dismissed", reason: string}} Dismissed
 * @typedef {{type: "pong", at: number}} Pong
 * @typedef {{type: "choose", message: string, next_step: string, commands: string[]}} Choose
 * @typedef {{type: "error", code: string, message: string, next_step: string}} Problem
 */

const ACK_EVERY = 64 * 1024;
/** Input on its way to the engine, at most; the server takes twice this (runtime/hub/messages.py). */
const INPUT_WINDOW = 128 * 1024;
const PIECE = 32 * 1024;
/** Keystrokes are kept together in pieces of this size. */
const SMALL = 4 * 1024;

const CELLS_MOST = 1000;

const PING_EVERY = 5000;
/** Milliseconds after which a ping that nothing followed means that the connection is dead. */
const SILENCE = 12000;
/** The same when there is reason to doubt: the lid was opened, the network changed. */
const PROBE = 3000;
/** An attempt that is older may hang in a network that is no more. */
const STALE = 1000;
const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 5000;
/** A connection that held for less counts as one more failure, so that nobody reconnects in circles. */
const STEADY = 2000;
const PATIENCE = 15000;
/** The engine may be slow to start a process. */
const FIRST_PATIENCE = 60000;
/** How often something new is tried before the person is told that it cannot be opened. */
const FIRST_TRIES = 4;
/** How often the end of a terminal is tried to be told to a console that does not answer. */
const PARTING_TRIES = 20;

const NORMAL = 1000;
/** The connection is dead, not the page: the server keeps the terminal for as long as it keeps those that were lost. */
const LOST = 4000;

/** Errors that say nothing about the terminal: it is asked for again. */
const PASSING = new Set(["late", "lease", "ticket", "hub_away"]);

const encoder = new TextEncoder();

/** Why no ticket was issued. `isFinal`: asking again gets the same answer. */
export class TicketRefused extends Error {
  constructor(message, { isFinal, code = "refused", next = "" }) {
    super(message);
    this.isFinal = isFinal;
    this.code = code;
    this.next = next;
  }
}

/** A random name that nobody guesses. */
export function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What was typed: kept until it has been taken, sent once per connection, in order. */
export class Typed {
  constructor() {
    this.pieces = [];
    this.start = 0; // the offset of the first byte that is kept
    this.end = 0;
    this.sent = 0;
    this.wasSent = false;
  }

  get size() {
    return this.end - this.start;
  }

  add(bytes) {
    const last = this.pieces.at(-1);
    if (last && last.length + bytes.length <= SMALL) {
      const both = new Uint8Array(last.length + bytes.length);
      both.set(last);
      both.set(bytes, last.length);
      this.pieces[this.pieces.length - 1] = both;
    } else if (bytes.length > 0) {
      this.pieces.push(bytes);
    }
    this.end += bytes.length;
  }

  /** Everything before `offset` has been taken. */
  take(offset) {
    while (this.pieces.length > 0 && this.start + this.pieces[0].length <= offset) {
      this.start += this.pieces.shift().length;
    }
    if (this.pieces.length > 0 && offset > this.start) {
      this.pieces[0] = this.pieces[0].subarray(offset - this.start);
      this.start = offset;
    }
    this.sent = Math.max(this.sent, this.start);
  }

  /** A connection begins whose other end has everything before `offset`. */
  resume(offset) {
    if (this.wasSent) {
      this.take(offset);
    } else {
      // This page has sent nothing yet; what it keeps comes after what the one before it sent.
      this.end += offset - this.start;
      this.start = offset;
    }
    this.sent = this.start;
  }

  /** The next bytes to send: at most a piece, and no more than the window has room for. Null when there are none. */
  next() {
    const most = Math.min(PIECE, INPUT_WINDOW - (this.sent - this.start), this.end - this.sent);
    if (most <= 0) {
      return null;
    }
    const piece = new Uint8Array(most);
    let skip = this.sent - this.start;
    let filled = 0;
    for (const kept of this.pieces) {
      if (skip >= kept.length) {
        skip -= kept.length;
        continue;
      }
      const part = kept.subarray(skip, skip + most - filled);
      piece.set(part, filled);
      filled += part.length;
      skip = 0;
      if (filled === most) {
        break;
      }
    }
    this.sent += most;
    this.wasSent = true;
    return piece;
  }
}

/**
 * One terminal's connection.
 *
 * `issue(session)` asks for a ticket, for something new when `session` is null, and gives {ticket, session} or throws
 * `TicketRefused`. `hooks` are called in the order in which things happened on the other end:
 *
 * - `onState(state)`: connecting, live, reconnecting.
 * - `onOpened(frame)`: each time that the connection stands.
 * - `onReset({lost, preamble})`: the screen is worth nothing any more; `preamble` comes before what follows.
 * - `onOutput(bytes, rendered, {isOld})`: output, each byte once; `rendered()` is to be called when it is on the
 *   screen. `isOld`: it was there before this viewer came.
 * - `onFrame(frame)`: size, present, notice.
 * - `onWaiting(size)`: so many bytes of input wait for the connection.
 * - `onLatency(milliseconds)`.
 * - `onEnd(frame)`: exit, choose, error or dismissed. Nothing follows.
 */
export class TerminalStream {
  constructor({ issue, hooks, columns, rows, session = null, viewer = randomId(), path = "/ws/terminal/" }) {
    this.issue = issue;
    this.hooks = hooks;
    this.path = path;
    this.session = session;
    this.viewer = viewer;
    this.columns = Math.min(columns, CELLS_MOST);
    this.rows = Math.min(rows, CELLS_MOST);
    this.state = session === null ? "connecting" : "reconnecting";
    this.typed = new Typed();
    this.received = null; // the offset until which this end has the output
    this.rendered = 0;
    this.told = 0;
    this.oldUntil = 0;
    this.generation = 0; // of output: what was rendered of an earlier one is not counted any more
    this.socket = null;
    this.isOpen = false;
    this.exists = session !== null; // there is something to come back to
    this.isDone = false;
    this.isAway = false; // the page is hidden for good, or for the browser's cache of pages
    this.inputEnded = false;
    this.endSent = false;
    this.problem = null; // why the last attempt failed, if that is known
    this.parting = null; // the last word, once the person has gone: "close" or "leave"
    this.tries = 0;
    this.triedAt = 0;
    this.openedAt = 0;
    this.pingAt = 0;
    this.heardAt = 0;
    this.timers = { retry: 0, patience: 0, beat: 0, probe: 0 };
    this.onWake = () => this.wake();
    this.onVisible = () => document.visibilityState === "visible" && this.wake();
    this.onHide = () => this.stepAside();
    this.onShow = () => this.comeBack();
  }

  start() {
    window.addEventListener("online", this.onWake);
    window.addEventListener("offline", this.onWake);
    document.addEventListener("visibilitychange", this.onVisible);
    window.addEventListener("pagehide", this.onHide);
    window.addEventListener("pageshow", this.onShow);
    this.connect();
  }

  // What the person does

  /** Take input. Returns whether it was kept: without a connection there is a limit. */
  write(text) {
    const bytes = typeof text === "string" ? encoder.encode(text) : text;
    if (this.isDone || this.parting || (!this.isOpen && this.typed.size + bytes.length > INPUT_WINDOW)) {
      return false;
    }
    this.typed.add(bytes);
    this.pump();
    return true;
  }

  /** End of file, after what was typed. */
  end() {
    this.inputEnded = true;
    this.pump();
  }

  resize(columns, rows) {
    columns = Math.min(columns, CELLS_MOST);
    rows = Math.min(rows, CELLS_MOST);
    if (columns !== this.columns || rows !== this.rows) {
      this.columns = columns;
      this.rows = rows;
      this.send({ type: "resize", columns, rows });
    }
  }

  /** Say goodbye: "close" ends the terminal, "leave" only goes. Without a connection it is said once there is one. */
  part(how) {
    if (this.isDone || this.parting) {
      return;
    }
    this.hooks = {};
    if (this.isOpen) {
      this.send({ type: how });
      this.stop();
    } else if (this.session === null) {
      this.stop(); // nothing was started
    } else {
      this.parting = how;
      this.tries = 0;
    }
  }

  /** Let go of everything. */
  stop() {
    this.isDone = true;
    this.drop(NORMAL);
    this.stopTimers();
    window.removeEventListener("online", this.onWake);
    window.removeEventListener("offline", this.onWake);
    document.removeEventListener("visibilitychange", this.onVisible);
    window.removeEventListener("pagehide", this.onHide);
    window.removeEventListener("pageshow", this.onShow);
  }

  // The connection

  async connect() {
    this.drop();
    this.stopTimers();
    this.isAway = false;
    this.triedAt = performance.now();
    this.setState(this.exists ? "reconnecting" : "connecting");
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}${this.path}`);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    this.timers.patience = setTimeout(() => this.lose(), this.session === null ? FIRST_PATIENCE : PATIENCE);
    // The socket opens while the ticket is on its way. Without either, nothing is said, and nothing starts.
    const opening = new Promise((resolve) => {
      socket.addEventListener("open", resolve, { once: true });
    });
    socket.addEventListener("message", ({ data }) => {
      if (this.socket === socket) {
        this.take(data);
      }
    });
    socket.addEventListener("close", () => {
      if (this.socket === socket) {
        this.lose();
      }
    });
    try {
      const issued = await this.issue(this.session);
      await opening;
      if (this.socket === socket) {
        this.ask(issued);
      }
    } catch (problem) {
      if (this.socket !== socket) {
        return;
      }
      if (problem instanceof TicketRefused && problem.isFinal) {
        this.finish({ type: "error", code: problem.code, message: problem.message, next_step: problem.next });
      } else {
        this.problem = problem;
        this.lose();
      }
    }
  }

  ask({ ticket, session }) {
    // From here on there may be a process: after a loss it is asked for, never started once more.
    this.session = session;
    this.socket.send(
      JSON.stringify({
        type: "open",
        ticket,
        viewer: this.viewer,
        columns: this.columns,
        rows: this.rows,
        from: this.received,
        typed: this.typed.start,
      }),
    );
  }

  send(frame) {
    if (this.isOpen && this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify(frame));
    }
  }

  drop(code = LOST) {
    const socket = this.socket;
    this.socket = null;
    this.isOpen = false;
    socket?.close(code);
  }

  /** The connection is gone, or never came; the terminal is not. */
  lose() {
    const held = this.isOpen && performance.now() - this.openedAt >= STEADY;
    this.drop();
    this.stopTimers();
    if (this.isDone || this.isAway) {
      return;
    }
    this.tries = held ? 0 : this.tries + 1;
    if (this.parting && this.tries > PARTING_TRIES) {
      this.stop();
      return;
    }
    if (!this.exists && !this.parting && this.tries >= FIRST_TRIES) {
      this.finish({
        type: "error",
        code: "silent",
        message: this.problem?.message || gettext("The console does not answer."),
        next_step: gettext("Check that you are signed in and that the network is there, then try again."),
      });
      return;
    }
    this.setState(this.exists ? "reconnecting" : "connecting");
    this.hooks.onWaiting?.(this.typed.size);
    const pause = this.tries === 0 ? 0 : Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (this.tries - 1));
    this.timers.retry = setTimeout(() => this.connect(), pause * (0.5 + Math.random()));
  }

  /** Something changed that may have broken the connection, or may bring it back: the network, the lid, the tab. */
  wake() {
    if (this.isDone || this.isAway) {
      return;
    }
    if (this.isOpen) {
      this.ping();
      clearTimeout(this.timers.probe);
      this.timers.probe = setTimeout(() => this.heardAt < this.pingAt && this.lose(), PROBE);
    } else if (this.timers.retry || (this.exists && performance.now() - this.triedAt > STALE)) {
      this.connect();
    }
  }

  // The page goes: into the browser's cache of pages, or for good. The server keeps the terminal for a moment.
  stepAside() {
    if (this.isDone) {
      return;
    }
    this.isAway = true;
    this.drop(NORMAL);
    this.stopTimers();
  }

  comeBack() {
    if (this.isAway && !this.isDone) {
      this.connect();
    }
  }

  beat() {
    if (this.heardAt < this.pingAt) {
      if (performance.now() - this.pingAt > SILENCE) {
        this.lose();
      }
      return;
    }
    this.ping();
  }

  ping() {
    this.pingAt = performance.now();
    this.send({ type: "ping", at: Math.round(this.pingAt) });
  }

  stopTimers() {
    clearTimeout(this.timers.retry);
    clearTimeout(this.timers.patience);
    clearTimeout(this.timers.probe);
    clearInterval(this.timers.beat);
    this.timers = { retry: 0, patience: 0, beat: 0, probe: 0 };
  }

  setState(state) {
    if (this.state !== state) {
      this.state = state;
      this.hooks.onState?.(state);
    }
  }

  // What comes

  take(data) {
    this.heardAt = performance.now();
    if (typeof data !== "string") {
      this.deliver(new Uint8Array(data));
      return;
    }
    const frame = JSON.parse(data);
    if (frame.type === "opened") {
      this.begin(frame);
    } else if (frame.type === "taken") {
      this.typed.take(frame.bytes);
      this.pump();
    } else if (frame.type === "skipped") {
      this.restart(frame);
    } else if (frame.type === "pong") {
      this.hooks.onLatency?.(Math.max(0, Math.round(performance.now()) - frame.at));
    } else if (["exit", "choose", "dismissed"].includes(frame.type)) {
      this.finish(frame);
    } else if (frame.type === "error") {
      if (PASSING.has(frame.code)) {
        this.problem = frame;
        if (!this.exists) {
          this.session = null; // refused before anything was started
        }
        this.lose();
      } else {
        this.finish(frame);
      }
    } else {
      this.hooks.onFrame?.(frame);
    }
  }

  begin(frame) {
    this.isOpen = true;
    this.openedAt = performance.now();
    clearTimeout(this.timers.patience);
    if (this.parting) {
      this.send({ type: this.parting });
      this.stop();
      return;
    }
    this.exists = true;
    this.problem = null;
    this.endSent = false;
    this.timers.beat = setInterval(() => this.beat(), PING_EVERY);
    const goesOn = this.received === frame.offset && !frame.reset;
    this.setState("live");
    this.hooks.onOpened?.(frame);
    if (goesOn) {
      this.generation += 1;
      this.rendered = this.told = frame.offset;
    } else {
      this.oldUntil = frame.end;
      // Nothing is missed by somebody who had nothing.
      this.restart({ ...frame, lost: this.received === null ? 0 : frame.lost });
    }
    this.typed.resume(frame.taken);
    this.pump();
    this.ping();
  }

  restart({ offset, lost, preamble }) {
    this.generation += 1;
    this.received = this.rendered = this.told = offset;
    this.hooks.onReset?.({ lost, preamble });
  }

  deliver(bytes) {
    const old = this.oldUntil - this.received;
    if (old > 0 && old < bytes.length) {
      this.deliver(bytes.subarray(0, old));
      this.deliver(bytes.subarray(old));
      return;
    }
    this.received += bytes.length;
    const { generation, received } = this;
    this.hooks.onOutput?.(bytes, () => this.hasRendered(generation, received), { isOld: old > 0 });
  }

  hasRendered(generation, offset) {
    if (generation !== this.generation) {
      return;
    }
    this.rendered = offset;
    if (this.rendered - this.told >= ACK_EVERY) {
      this.told = this.rendered;
      this.send({ type: "ack", offset: this.told });
    }
  }

  pump() {
    while (this.isOpen && this.socket.readyState === WebSocket.OPEN) {
      const piece = this.typed.next();
      if (piece === null) {
        break;
      }
      this.socket.send(piece);
    }
    if (this.inputEnded && !this.endSent && this.isOpen && this.typed.sent === this.typed.end) {
      this.endSent = true;
      this.send({ type: "end" });
    }
    this.hooks.onWaiting?.(this.isOpen ? 0 : this.typed.size);
  }

  finish(frame) {
    const { hooks } = this;
    this.stop();
    hooks.onEnd?.(frame);
  }
}
