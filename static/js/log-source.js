// One container's log as a stream of lines: it comes back after a lost network, and no line comes twice.

import { hashOf, lineOf, momentOf, nanoseconds } from "./log-line.js";
import { openStream } from "./stream.js";

const LAST = 2000; // lines by which it is known where a stream was cut

// A frame is whole blocks: a byte of channel, four of length, and the lines.
function* blocksOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; ) {
    const end = at + 5 + view.getUint32(at + 1);
    yield [bytes[at], bytes.subarray(at + 5, end)];
    at = end;
  }
}

/** Milliseconds to wait before the next try. */
function pauseAfter(failures) {
  return Math.min(15000, 500 * 2 ** failures) * (0.5 + Math.random());
}

export class LogSource {
  /**
   * `target` is {host, container, name}. `onLines(lines)` gets new ones, `onState(source)` each change of `state`:
   * `connecting`, `live`, `ended`, `cut` (as many lines as were wanted) and `failed`, with `message`; `onSkipped(lost)`
   * says that the server left bytes out.
   */
  constructor(target, { onLines, onState, onSkipped }) {
    this.target = target;
    this.onLines = onLines;
    this.onState = onState;
    this.onSkipped = onSkipped;
    this.state = "connecting";
    this.message = "";
    this.failures = 0;
    this.decoders = new Map();
    this.rests = new Map();
    this.forget();
  }

  /** Know of no line any more. */
  forget() {
    this.last = []; // the newest lines' moments and hashes
  }

  get topic() {
    return `container:${this.target.host}:${this.target.container}`;
  }

  /**
   * Ask for lines: `part` is {tail, since, until, stdout, stderr, follow}. With `most`, the stream is let go of once so
   * many lines came after the moment `mostAfter`.
   */
  open(part, { most = null, mostAfter = "" } = {}) {
    this.part = part;
    this.most = most;
    this.mostAfter = mostAfter;
    this.forget();
    this.connect();
  }

  /** Read on behind what is here. */
  goOn({ most = null, follow = true } = {}) {
    this.most = most;
    this.mostAfter = "";
    this.part = { ...this.part, follow };
    this.connect();
  }

  connect() {
    this.close();
    const newest = this.last.at(-1);
    // The engine's times are asked in microseconds, or begin a second: what is here already is not shown twice.
    this.known = newest ? this.knownFrom(newest.moment) : null;
    const since = newest ? Math.floor(Number(newest.moment.slice(0, -9))) : this.part.since;
    this.count = 0;
    this.decoders.clear();
    this.rests.clear();
    this.set("connecting");
    this.stream = openStream({
      path: "/ws/logs/",
      first: {
        type: "open",
        host: this.target.host,
        container: this.target.container,
        tail: newest ? null : this.part.tail,
        since,
        until: this.part.until,
        stdout: this.part.stdout,
        stderr: this.part.stderr,
        timestamps: true,
        follow: this.part.follow,
      },
      onBytes: (bytes, rendered) => {
        for (const [channel, data] of blocksOf(bytes)) {
          this.take(channel, data);
        }
        rendered();
      },
      onControl: (frame) => this.onControl(frame),
      onClose: () => this.onClose(),
    });
  }

  close() {
    clearTimeout(this.retry);
    const stream = this.stream;
    this.stream = null;
    stream?.close();
  }

  set(state, message = "") {
    this.state = state;
    this.message = message;
    this.onState(this);
  }

  onControl(frame) {
    if (frame.type === "opened") {
      this.failures = 0;
      this.set("live");
    } else if (frame.type === "skipped") {
      this.onSkipped(frame.lost);
    } else if (frame.type === "end") {
      this.flush();
      this.close();
      this.set("ended");
    } else if (frame.type === "error") {
      this.close();
      this.set("failed", `${frame.message} ${frame.next_step}`);
    }
  }

  onClose() {
    if (this.stream) {
      this.stream = null;
      this.set("connecting", gettext("Reconnecting…"));
      this.failures += 1;
      this.connectAfter(pauseAfter(this.failures));
    }
  }

  connectAfter(pause) {
    clearTimeout(this.retry);
    this.retry = setTimeout(() => this.connect(), pause);
  }

  // Lines

  take(channel, bytes) {
    if (!this.stream) {
      return; // cut meanwhile
    }
    let decoder = this.decoders.get(channel);
    if (!decoder) {
      decoder = new TextDecoder("utf-8");
      this.decoders.set(channel, decoder);
    }
    const parts = ((this.rests.get(channel) ?? "") + decoder.decode(bytes, { stream: true })).split("\n");
    this.rests.set(channel, parts.pop());
    this.give(parts, channel);
  }

  // What was written last may lack the end of its line.
  flush() {
    for (const [channel, rest] of this.rests) {
      if (rest) {
        this.give([rest], channel);
      }
    }
    this.rests.clear();
  }

  give(parts, channel) {
    const lines = [];
    for (const part of parts) {
      const line = lineOf(part, { channel, source: this });
      if (!line.time) {
        line.moment = lines.length > 0 ? momentOf(lines.at(-1)) : (this.last.at(-1)?.moment ?? "");
      }
      if (this.known && this.isKnown(line)) {
        continue;
      }
      if (this.most !== null && (!this.mostAfter || momentOf(line) > this.mostAfter)) {
        this.count += 1;
        if (this.count > this.most) {
          break;
        }
      }
      lines.push(line);
    }
    this.remember(lines);
    if (lines.length > 0) {
      this.onLines(lines);
    }
    if (this.most !== null && this.count > this.most) {
      this.close();
      this.set("cut");
    }
  }

  remember(lines) {
    for (const line of lines.slice(-LAST)) {
      if (line.time) {
        this.last.push({ time: line.time, text: line.text, moment: "" });
      }
    }
    if (this.last.length > 2 * LAST) {
      this.last = this.last.slice(-LAST);
    }
    const newest = this.last.at(-1);
    if (newest) {
      newest.moment = nanoseconds(newest.time);
    }
  }

  // The lines here that have the newest moment: Podman's are whole seconds, so that there are several.
  knownFrom(moment) {
    const counts = new Map();
    for (let at = this.last.length - 1; at >= 0 && nanoseconds(this.last[at].time) === moment; at -= 1) {
      const hash = hashOf(this.last[at].text);
      counts.set(hash, (counts.get(hash) ?? 0) + 1);
    }
    return { moment, counts };
  }

  isKnown(line) {
    const moment = momentOf(line);
    if (moment > this.known.moment) {
      this.known = null;
      return false;
    }
    if (moment < this.known.moment) {
      return true;
    }
    const hash = hashOf(line.text);
    const left = this.known.counts.get(hash) ?? 0;
    this.known.counts.set(hash, left - 1);
    return left > 0;
  }
}
