// One stream over a WebSocket: bytes one way or both, JSON for control, and a window that the reader opens by rendering.

const ACK_EVERY = 64 * 1024;
const PING_EVERY = 5000;
const CHUNK = 32 * 1024;
/** Input that the engine has not taken yet; the server's own limit is twice this (console/terminals/protocol.py). */
const INPUT_WINDOW = 128 * 1024;

const encoder = new TextEncoder();

/**
 * Open a stream. `path` is the socket's, `first` the frame that opens it, or the promise of one.
 *
 * `onBytes(bytes, rendered)` gets a Uint8Array and calls `rendered()` once it is on the screen: only then does the
 * server send more than its window. `onControl(frame)` gets the server's JSON frames, `onClose({code, wasOpen})` the end.
 */
export function openStream({ path, first, onBytes, onControl, onClose, onLatency = null }) {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}${path}`);
  socket.binaryType = "arraybuffer";
  let total = 0;
  let told = 0;
  let wasOpen = false;
  let isBegun = false;
  let isDone = false; // the reader closed it: whatever still arrives is nobody's any more
  let input = Promise.resolve();
  let sent = 0;
  let taken = 0;
  let wakeWriter = null;
  let pinger = 0;

  const send = (frame) => {
    if (isBegun && socket.readyState === WebSocket.OPEN) {
      socket.send(JSON.stringify(frame));
    }
  };
  const rendered = (size) => {
    total += size;
    if (total - told >= ACK_EVERY) {
      told = total;
      send({ type: "ack", bytes: total });
    }
  };

  // The frame may still be on its way (a terminal's ticket) while the socket opens; nothing may go before it.
  const begin = (frame) => {
    isBegun = true;
    send(frame);
  };
  const opening = Promise.resolve(first);
  opening.catch(() => socket.close(1000));
  socket.addEventListener("open", () => opening.then(begin, () => {}));
  socket.addEventListener("message", ({ data }) => {
    if (isDone) {
      return;
    }
    if (typeof data === "string") {
      const frame = JSON.parse(data);
      if (frame.type === "opened") {
        wasOpen = true;
        if (onLatency) {
          pinger = setInterval(() => send({ type: "ping", at: Math.round(performance.now()) }), PING_EVERY);
        }
      }
      if (frame.type === "taken") {
        taken = frame.bytes;
        wakeWriter?.();
        return;
      }
      if (frame.type === "pong") {
        onLatency?.(Math.max(0, Math.round(performance.now()) - frame.at));
        return;
      }
      onControl(frame);
      return;
    }
    const bytes = new Uint8Array(data);
    onBytes(bytes, () => rendered(bytes.length));
  });
  socket.addEventListener("close", ({ code }) => {
    clearInterval(pinger);
    wakeWriter?.();
    if (!isDone) {
      onClose({ code, wasOpen });
    }
  });

  // A large paste goes in pieces, at the engine's own pace: all at once, it would stand in front of the
  // acknowledgements that its echo needs.
  async function sendPieces(bytes) {
    for (let at = 0; at < bytes.length; at += CHUNK) {
      const piece = bytes.subarray(at, at + CHUNK);
      while (sent + piece.length - taken > INPUT_WINDOW && socket.readyState === WebSocket.OPEN) {
        await new Promise((resolve) => {
          wakeWriter = resolve;
        });
      }
      if (socket.readyState !== WebSocket.OPEN) {
        return;
      }
      sent += piece.length;
      socket.send(piece);
    }
  }

  return {
    control: send,
    write(text) {
      const bytes = typeof text === "string" ? encoder.encode(text) : text;
      input = input.then(() => sendPieces(bytes));
      return input;
    },
    /** Say that input has ended, after what was written. */
    end() {
      input = input.then(() => send({ type: "end" }));
    },
    close() {
      isDone = true;
      clearInterval(pinger);
      socket.close(1000);
    },
  };
}
