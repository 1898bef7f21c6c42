// Which part of a log: how many lines, since when, around which moment, which channel.

import { element } from "./elements.js";
import { MOST_LINES } from "./log-list.js";
import { inOwnZone, zoneName } from "./time.js";

const TAILS = [100, 500, 5000, 50000];
const SINCE = { 0: "", 300: "5", 900: "15", 3600: "60", 86400: "1440" };
/** The choices of a list that open a field. */
const OWN = "own";
const AROUND = "around";
let numbers = 0;

export function choice(label, options, value, change) {
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

function secondsOf({ input }) {
  return input.value ? Math.floor(new Date(input.value).getTime() / 1000) : null;
}

export class LogRange {
  /** `params` is {tail, since, from, until, stdout, stderr}; `onChange(changes)` reads anew, `onMoment(seconds)` goes there. */
  constructor(params, { onChange, onMoment }) {
    this.params = params;
    this.onChange = onChange;
    this.onMoment = onMoment;
    const both = params.stdout && params.stderr ? "both" : params.stdout ? "stdout" : "stderr";
    this.tail = choice(
      gettext("How many lines"),
      [
        ...TAILS.map((count) => [count, interpolate(gettext("Last %s"), [count.toLocaleString()])]),
        ["", gettext("All lines")],
        [OWN, gettext("Another number…")],
      ],
      this.hasOwnTail() ? OWN : (params.tail ?? ""),
      (value) => this.chooseTail(value),
    );
    this.since = choice(
      gettext("Since when"),
      [
        ...Object.keys(SINCE).map((seconds) => [
          seconds,
          seconds === "0" ? gettext("Since ever") : interpolate(gettext("Last %s min"), [SINCE[seconds]]),
        ]),
        [OWN, gettext("From … until …")],
        [AROUND, gettext("Around a moment…")],
      ],
      this.isBetween() ? OWN : params.since,
      (value) => this.chooseSince(value),
    );
    this.channel = choice(
      gettext("Which channel"),
      [
        ["both", gettext("stdout and stderr")],
        ["stdout", gettext("stdout only")],
        ["stderr", gettext("stderr only")],
      ],
      both,
      (value) => onChange({ stdout: value !== "stderr", stderr: value !== "stdout" }),
    );
    this.build();
  }

  build() {
    const title = interpolate(gettext("In your time zone: %s"), [zoneName()]);
    const moment = { type: "datetime-local", step: "1", min: "1970-01-02T00:00", max: "2199-12-31T23:59", title };
    this.ownTail = ownField(
      gettext("Lines"),
      { type: "number", min: "1", max: String(MOST_LINES), step: "1", value: String(this.params.tail ?? "") },
      () => this.takeTail(),
    );
    this.ownFrom = ownField(gettext("From"), { ...moment, value: localValue(this.params.from) }, () => this.takeBetween());
    this.ownUntil = ownField(gettext("Until"), { ...moment, value: localValue(this.params.until) }, () => this.takeBetween());
    this.ownMoment = ownField(gettext("Moment"), { ...moment, value: "" }, () => this.takeMoment());
    this.fields = element(
      "div",
      { class: "stream-range", role: "group", "aria-label": gettext("Which part of the log") },
      ...[this.ownTail, this.ownFrom, this.ownUntil, this.ownMoment].map((own) => own.field),
    );
    this.show({ tail: this.hasOwnTail(), between: this.isBetween(), around: false });
  }

  hasOwnTail() {
    return this.params.tail !== null && !TAILS.includes(this.params.tail);
  }

  isBetween() {
    return this.params.from !== null || this.params.until !== null;
  }

  /** The second from which the log is read; null for its beginning. */
  begin() {
    return this.params.from ?? (this.params.since ? Math.floor(Date.now() / 1000) - this.params.since : null);
  }

  /** Whether the chosen end has passed, so that nothing more can come. */
  isOver() {
    return this.params.until !== null && this.params.until * 1000 <= Date.now();
  }

  show({ tail = !this.ownTail.field.hidden, between = !this.ownFrom.field.hidden, around = !this.ownMoment.field.hidden }) {
    this.ownTail.field.hidden = !tail;
    this.ownFrom.field.hidden = !between;
    this.ownUntil.field.hidden = !between;
    this.ownMoment.field.hidden = !around;
    this.fields.hidden = !tail && !between && !around;
  }

  chooseTail(value) {
    this.show({ tail: value === OWN });
    if (value === OWN) {
      this.ownTail.input.focus();
      this.ownTail.input.select();
    } else {
      this.ownTail.complain("");
      this.onChange({ tail: value === "" ? null : Number(value) });
    }
  }

  takeTail() {
    const { input, complain } = this.ownTail;
    const isRight = input.value !== "" && input.validity.valid;
    if (complain(isRight ? "" : interpolate(gettext("Write a whole number from 1 to %s."), [MOST_LINES.toLocaleString()]))) {
      this.onChange({ tail: Number(input.value) });
    }
  }

  chooseSince(value) {
    this.show({ between: value === OWN, around: value === AROUND });
    if (value === OWN || value === AROUND) {
      (value === OWN ? this.ownFrom : this.ownMoment).input.focus();
      return;
    }
    for (const own of [this.ownFrom, this.ownUntil]) {
      own.input.value = "";
      own.complain("");
    }
    this.onChange({ since: Number(value), from: null, until: null });
  }

  takeBetween() {
    const [from, until] = [secondsOf(this.ownFrom), secondsOf(this.ownUntil)];
    const fromIsRight = this.ownFrom.complain(this.wrongWith(this.ownFrom, from));
    const isReversed = from !== null && until !== null && until <= from;
    const untilIsRight = this.ownUntil.complain(
      (this.ownUntil.input.validity.valid ? "" : gettext("Write a date and a time.")) ||
        (isReversed ? gettext("The end must come after the beginning.") : ""),
    );
    if (fromIsRight && untilIsRight) {
      this.onChange({ since: 0, from, until });
    }
  }

  takeMoment() {
    const moment = secondsOf(this.ownMoment);
    if (this.ownMoment.complain(this.wrongWith(this.ownMoment, moment)) && moment !== null) {
      this.onMoment(moment);
    }
  }

  wrongWith({ input }, moment) {
    if (!input.validity.valid) {
      return gettext("Write a date and a time.");
    }
    return moment !== null && moment * 1000 > Date.now() ? gettext("This is still to come; choose an earlier moment.") : "";
  }

  /** The address of the log as a file, as it is shown. */
  downloadOf({ host, container }, { times }) {
    const query = new URLSearchParams({ host, container });
    const { tail, stdout, stderr, until } = this.params;
    const since = this.begin();
    const chosen = {
      timestamps: times ? "on" : null,
      tail,
      stdout: stdout ? null : "false",
      stderr: stderr ? null : "false",
      since,
      until,
    };
    for (const [name, value] of Object.entries(chosen)) {
      if (value !== null) {
        query.set(name, String(value));
      }
    }
    return `/terminals/logs/download/?${query}`;
  }
}
