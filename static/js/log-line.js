// One line of a log: what it says, how grave it is, and what it is called in a link.

import { plain } from "./ansi.js";

const STAMP = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d) ?/;
const LEVEL_WITHIN = 200;
/** From grave to light. */
export const LEVELS = ["error", "warning", "info", "debug"];
const PATTERNS = {
  error: levelPattern("EMERG|ALERT|FATAL|PANIC|CRIT(?:ICAL)?|ERR(?:OR)?", "[Ff]atal|[Pp]anic|[Cc]rit(?:ical)?|[Ee]rr(?:or)?"),
  warning: levelPattern("WARN(?:ING)?", "[Ww]arn(?:ing)?"),
  info: levelPattern("INFO|NOTICE", "[Ii]nfo|[Nn]otice"),
  debug: levelPattern("DEBUG|TRACE", "[Dd]ebug|[Tt]race"),
};
const NAMES = {
  error: /^(?:emerg(?:ency)?|alert|fatal|panic|crit(?:ical)?|err(?:or)?|severe)$/i,
  warning: /^warn(?:ing)?$/i,
  info: /^(?:info(?:rmation(?:al)?)?|notice)$/i,
  debug: /^(?:debug|trace|verbose|fine(?:r|st)?)$/i,
};
const MESSAGE_KEYS = ["message", "msg", "event", "text", "log"];
const LEVEL_KEYS = ["level", "severity", "lvl", "levelname", "log.level", "loglevel"];
const LONGEST_JSON = 64 * 1024;
const MOST_CHIPS = 12;
const LONGEST_CHIP = 60;

// Words that programs write for a line's level, not those of people's sentences.
function levelPattern(capitals, words) {
  return new RegExp(
    `(?:^|\\W)(?:${capitals})(?!\\w)|(?:level|severity|lvl)"?\\s?[=:]\\s?"?(?:${words})\\b|^(?:${words})\\b`,
  );
}

/** A line as it came, with its timestamp in front. */
export function lineOf(text, { channel, source }) {
  const stamp = STAMP.exec(text);
  const said = text.slice(stamp?.[0].length ?? 0).replace(/\r$/, "");
  return {
    text: said.slice(said.lastIndexOf("\r") + 1),
    time: stamp ? stamp[0].trimEnd() : null,
    channel,
    source,
    isOpen: false,
  };
}

/** A remark of ours between the lines. */
export function remarkOf(text, { source, time }) {
  return { text, time, channel: 0, source, isRemark: true, json: null, level: null };
}

/** Nanoseconds since the epoch as 19 digits: they compare as text. */
export function nanoseconds(time) {
  const [, seconds, digits, zone] = STAMP.exec(time) ?? [];
  if (!seconds) {
    return "";
  }
  return `${Date.parse(seconds + zone) / 1000}${(digits ?? "").padEnd(9, "0").slice(0, 9)}`.padStart(19, "0");
}

/** When a line was written, as text that compares. A line without a time is where the one before it is. */
export function momentOf(line) {
  line.moment ??= line.time ? nanoseconds(line.time) : "";
  return line.moment;
}

/** What tells a line from the others of its moment, in a link (FNV-1a). */
export function hashOf(text) {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0;
  }
  return hash.toString(16).padStart(8, "0");
}

/** The line's object, when it is one: {message, fields, value}. */
export function jsonOf(line) {
  if (line.json === undefined) {
    line.json = parsed(line.text);
  }
  return line.json;
}

function parsed(text) {
  if (text.charCodeAt(0) !== 123 || text.length > LONGEST_JSON || !text.trimEnd().endsWith("}")) {
    return null;
  }
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  const messageKey = MESSAGE_KEYS.find((key) => typeof value[key] === "string");
  const levelKey = LEVEL_KEYS.find((key) => ["string", "number"].includes(typeof value[key]));
  const fields = Object.entries(value).filter(([key]) => key !== messageKey && key !== levelKey);
  return {
    value,
    message: messageKey ? oneLine(value[messageKey]) : "",
    level: levelKey ? levelNamed(value[levelKey]) : null,
    levelText: levelKey ? levelTextOf(value[levelKey]) : "",
    chips: fields.slice(0, MOST_CHIPS).map(([key, item]) => [key, chipOf(item)]),
    more: Math.max(0, fields.length - MOST_CHIPS),
  };
}

function oneLine(text) {
  return plain(text.replace(/\s*\n\s*/g, " ⏎ "));
}

function chipOf(value) {
  const text = oneLine(typeof value === "string" ? value : JSON.stringify(value));
  return text.length > LONGEST_CHIP ? `${text.slice(0, LONGEST_CHIP)}…` : text;
}

function levelTextOf(value) {
  return typeof value === "number" ? levelNamed(value) : oneLine(value);
}

// Numbers are those of pino and bunyan.
function levelNamed(value) {
  if (typeof value === "number") {
    return value >= 50 ? "error" : value >= 40 ? "warning" : value >= 30 ? "info" : "debug";
  }
  return LEVELS.find((level) => NAMES[level].test(value)) ?? null;
}

/** `error`, `warning`, `info`, `debug`, or null. An indented line belongs to the one before it. */
export function levelOf(line, before = null) {
  if (line.level === undefined) {
    const json = jsonOf(line);
    line.level = json ? json.level : levelIn(line.text);
    if (line.level === null && before && /^\s+\S/.test(line.text)) {
      line.level = levelOf(before);
    }
  }
  return line.level;
}

function levelIn(text) {
  const start = plain(text).slice(0, LEVEL_WITHIN);
  return LEVELS.find((level) => PATTERNS[level].test(start)) ?? null;
}

/** The text of a JSON line when it is folded: as many characters as it takes cells. */
export function foldedText(json) {
  const chips = json.chips.map(([key, value]) => `${key}=${value}`);
  const more = json.more ? [`+${json.more}`] : [];
  return [json.levelText, json.message, ...chips, ...more].filter((part) => part !== "").join("  ");
}

/** The rows of a JSON line that is opened. */
export function openedRows(json) {
  return JSON.stringify(json.value, null, 2).split("\n");
}
