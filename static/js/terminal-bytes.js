// What the bytes of a terminal mean before they are drawn or sent.

const HEAD = 5; // one byte of channel, four of length

/** Cuts output without a TTY into the blocks it is made of; a block may come in any number of pieces. */
export class Blocks {
  constructor() {
    this.head = [];
    this.channel = 0;
    this.left = 0;
  }

  /** Call `onPart(channel, bytes)` for each part of a block within `bytes`. */
  feed(bytes, onPart) {
    let at = 0;
    while (at < bytes.length) {
      if (this.left === 0) {
        this.head.push(bytes[at]);
        at += 1;
        if (this.head.length === HEAD) {
          const [channel, ...length] = this.head;
          this.head = [];
          this.channel = channel;
          this.left = length.reduce((sum, byte) => sum * 256 + byte, 0);
        }
        continue;
      }
      const part = bytes.subarray(at, at + this.left);
      onPart(this.channel, part);
      at += part.length;
      this.left -= part.length;
    }
  }
}

// Answers to questions that a program asks of its terminal: what it is, where the cursor is, which colours it has.
const ANSWER = new RegExp(
  String.raw`^(?:\x1b\[[?>]?[\d;]*[cnR]|\x1b\[\??\d+;\d+\$y|\x1bP[^\x1b]*\x1b\\|\x1b\][^\x1b\x07]*(?:\x07|\x1b\\))+$`,
);
// What a browser sends because the mouse moved over the terminal, or because it got or lost the focus.
const MOVEMENT = new RegExp(String.raw`^\x1b\[(?:[IO]$|<|M)`);

/**
 * Whether xterm.js says this by itself, in answer to output. Output that is shown again asks again; and of several
 * people at a terminal one must answer, not all.
 */
export const isAnswer = (text) => ANSWER.test(text);

/** Whether nobody meant to type this. */
export const isMovement = (text) => MOVEMENT.test(text);

/** Edits lines where no TTY does: echoes, corrects, and hands over each line once it is whole. */
export class LineEditor {
  /** `echo(text)` shows, `send(text)` hands over, `end()` says that input has ended. */
  constructor({ echo, send, end }) {
    this.echo = echo;
    this.send = send;
    this.end = end;
    this.line = "";
  }

  type(text) {
    for (const letter of text.replace(/\r\n?/g, "\n")) {
      if (letter === "\n") {
        this.send(`${this.line}\n`);
        this.line = "";
        this.echo("\r\n");
      } else if (letter === "\x04") {
        if (this.line) {
          this.send(this.line);
          this.line = "";
        } else {
          this.end();
        }
      } else if (letter === "\x7f") {
        if (this.line) {
          this.line = [...this.line].slice(0, -1).join("");
          this.echo("\b \b");
        }
      } else if (letter >= " " || letter === "\t") {
        this.line += letter;
        this.echo(letter);
      }
    }
  }
}
