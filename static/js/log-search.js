// A log's search, in a worker that can be ended in the middle of a line: no pattern holds the page.

/** Half the milliseconds that one question may take. Between the halves, a page that was busy itself hears the answer. */
const HALF = 200;

export class Searcher {
  constructor() {
    this.worker = null;
    this.isReady = false;
    this.pending = null;
    this.timer = 0;
  }

  get isBusy() {
    return this.pending !== null;
  }

  /**
   * Ask about the lines of `text`; one question at a time. `answered` gets what the worker says, or null when that took
   * too long, which only a `limited` question can.
   */
  ask({ source, text, wantsRanges, limited }, answered) {
    this.pending = { question: { source, text, wantsRanges }, limited, answered };
    if (!this.worker) {
      this.worker = new Worker(new URL("./log-search-worker.js", import.meta.url), { type: "module" });
      this.worker.addEventListener("message", ({ data }) => this.onMessage(data));
    } else if (this.isReady) {
      this.send();
    }
  }

  onMessage(message) {
    if (message === "ready") {
      this.isReady = true;
      this.send();
    } else {
      this.finish(message);
    }
  }

  // Its time begins here, not while the worker is still being loaded.
  send() {
    this.worker.postMessage(this.pending.question);
    if (this.pending.limited) {
      this.timer = setTimeout(() => {
        this.timer = setTimeout(() => {
          this.stop();
          this.finish(null);
        }, HALF);
      }, HALF);
    }
  }

  finish(answer) {
    clearTimeout(this.timer);
    const { answered } = this.pending;
    this.pending = null;
    answered(answer);
  }

  stop() {
    clearTimeout(this.timer);
    this.worker?.terminate();
    this.worker = null;
    this.isReady = false;
  }
}
