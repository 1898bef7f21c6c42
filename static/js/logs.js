// Logs: one container's, or several merged by their times.
//
// log-source.js brings lines, log-line.js knows what they say, log-list.js shows them, log-range.js chooses which part,
// log-finder.js searches all of it.

import { plain } from "./ansi.js";
import { copyText } from "./copy.js";
import { dock } from "./dock.js";
import { element } from "./elements.js";
import { LogFinder } from "./log-finder.js";
import { hashOf, momentOf, remarkOf } from "./log-line.js";
import { LogList } from "./log-list.js";
import { LogRange, choice } from "./log-range.js";
import { LogSource } from "./log-source.js";
import { zoneName } from "./time.js";

const COLORS = 8;
/** Seconds before a moment from which its surroundings are read: ever more, until there are lines enough. */
const SURROUNDINGS = [10, 600, 86400, null];
const LINES_BEFORE = 100;
const LINES_AFTER = 2000;
const QUIET = 400;
const SECOND = "000000000";

function button(label, run, { name = null, pressed = null } = {}) {
  return element("button", {
    type: "button",
    class: "btn",
    "data-variant": "ghost",
    "data-size": "xs",
    "data-name": name,
    "aria-pressed": pressed === null ? null : String(pressed),
    text: label,
    on: { click: run },
  });
}

class LogsView {
  /**
   * `params.sources` are {host, container, name, place}; `params.url` is the page that a link to a line leads to,
   * `params.at` and `params.line` the line that such a link means.
   */
  constructor(params) {
    this.params = {
      tail: 500,
      since: 0,
      from: null,
      until: null,
      stdout: true,
      stderr: true,
      times: false,
      wrap: true,
      folds: true,
      level: "",
      ...params,
    };
    this.tab = null;
    this.place = null; // the moment around which is shown, instead of the end
    this.sources = this.params.sources.map(
      (target) =>
        new LogSource(target, {
          onLines: (lines) => this.list.add(lines),
          onState: (source) => this.onState(source),
          onSkipped: (lost) => this.onSkipped(lost),
        }),
    );
    this.list = new LogList({
      options: this.params,
      marks: (line) => this.finder.marksOf(line),
      onChange: () => this.showEnd(),
      onChoose: (line) => this.choose(line),
      onNearEnd: () => this.readOn(),
    });
    this.finder = new LogFinder({
      sources: () => this.sources,
      part: () => this.params,
      nameOf: (source) => this.list.names.get(source),
      onFound: () => this.list.refresh(),
      onShow: (hit) => this.showHit(hit),
    });
    this.nameSources();
    this.build();
    if (this.params.at) {
      this.goTo(this.params.at, (line) => hashOf(line.text) === this.params.line);
    } else {
      this.read();
    }
  }

  nameSources() {
    if (this.sources.length > 1) {
      this.sources.forEach((source, at) => {
        const { name, place } = source.target;
        this.list.names.set(source, { name, title: place ? `${name} · ${place}` : name, color: at % COLORS });
      });
    }
  }

  build() {
    const { params } = this;
    this.range = new LogRange(params, {
      onChange: (changes) => this.set(changes, () => this.read()),
      onMoment: (seconds) => this.goTo(`${seconds}${SECOND}`.padStart(19, "0")),
    });
    this.status = element("span", { class: "stream-state", "data-state": "connecting", role: "status" });
    this.where = element("span", { class: "truncate mono small", text: this.title });
    this.empty = element("div", { class: "logs-empty", hidden: true });
    this.more = element("button", { type: "button", class: "btn logs-more", "data-size": "sm", hidden: true, on: { click: () => this.toEnd() } });
    this.level = choice(
      gettext("Which levels"),
      [
        ["", gettext("All levels")],
        ["error", gettext("Errors")],
        ["warning", gettext("Warnings and above")],
        ["info", gettext("Info and above")],
        ["debug", gettext("Lines with a level")],
      ],
      params.level,
      (value) => this.set({ level: value }, () => this.list.refilter()),
    );
    this.pause = button(gettext("Pause"), () => this.togglePause(), { name: "pause", pressed: false });
    this.times = this.option("times", gettext("Times"), () => this.list.remeasure());
    this.times.title = interpolate(gettext("In your time zone: %s"), [zoneName()]);
    this.wrap = this.option("wrap", gettext("Wrap"), () => this.list.remeasure());
    this.folds = this.option("folds", gettext("Fold JSON"), () => this.list.remeasure());
    this.copy = button(gettext("Copy link to the line"), () => this.copyLink(), { name: "link" });
    this.copy.hidden = true;
    this.moveButton = button(gettext("Move to dock"), () => this.moveToDock(), { name: "dock" });
    this.download = element("a", {
      class: "btn",
      "data-variant": "ghost",
      "data-size": "xs",
      "hx-boost": "false",
      download: true,
      text: gettext("Download"),
      // "The last hour" is counted from now, not from when the page opened.
      on: { click: () => this.describe() },
    });
    this.download.hidden = this.sources.length > 1;
    this.root = element(
      "div",
      { class: "logs" },
      element(
        "div",
        { class: "stream-bar", role: "toolbar", "aria-label": gettext("Log") },
        this.status,
        this.where,
        this.range.tail,
        this.range.since,
        this.range.channel,
        this.level,
        element("span", { class: "stream-gap" }),
        this.copy,
        this.pause,
        this.times,
        this.wrap,
        this.folds,
        button(gettext("Clear"), () => this.list.clear(), { name: "clear" }),
        this.download,
        this.moveButton,
      ),
      this.range.fields,
      this.finder.root,
      this.finder.results,
      this.list.view,
      this.empty,
      this.more,
    );
    this.onLive = (event) => this.onChange(event.detail.topics);
    document.addEventListener("live:changed", this.onLive);
    this.describe();
  }

  get title() {
    return this.sources.map((source) => source.target.name).join(", ");
  }

  option(name, label, then) {
    const made = button(label, () => this.set({ [name]: !this.params[name] }, then), { name, pressed: this.params[name] });
    return made;
  }

  // Keep a choice, show it, and do what it means.
  set(changes, then) {
    Object.assign(this.params, changes);
    this.describe();
    then();
  }

  describe() {
    for (const name of ["times", "wrap", "folds"]) {
      this[name].setAttribute("aria-pressed", String(this.params[name]));
    }
    this.root.dataset.wrap = String(this.params.wrap);
    this.download.href = this.range.downloadOf(this.sources[0].target, this.params);
  }

  // Reading

  get part() {
    const { stdout, stderr, tail, until } = this.params;
    return { stdout, stderr, tail, since: this.range.begin(), until, follow: !this.range.isOver() };
  }

  /** From the end, as chosen. */
  read() {
    this.forgetPlace();
    this.list.clear();
    for (const source of this.sources) {
      source.open(this.part);
    }
  }

  /** Around a moment; the line that `isIt` accepts is shown. */
  goTo(moment, isIt = () => false, source = null) {
    this.list.clear();
    this.list.stay();
    this.place = { moment, isIt, source, waits: new Map() };
    for (const some of this.sources) {
      this.readAround(some, 0);
    }
  }

  readAround(source, step) {
    const { stdout, stderr } = this.params;
    const seconds = Number(this.place.moment.slice(0, -9));
    const since = SURROUNDINGS[step] === null ? null : Math.max(0, seconds - SURROUNDINGS[step]);
    this.place.waits.set(source, step);
    source.open(
      { stdout, stderr, tail: null, since, until: null, follow: false },
      { most: LINES_AFTER, mostAfter: this.place.moment },
    );
  }

  // A source has read what there is around the moment: enough, or from further back.
  onSurroundings(source) {
    const step = this.place.waits.get(source);
    const before = this.list.all.filter((line) => line.source === source && momentOf(line) < this.place.moment).length;
    if (before < LINES_BEFORE && SURROUNDINGS[step] !== null) {
      this.list.forget(source);
      this.readAround(source, step + 1);
      return;
    }
    this.place.waits.delete(source);
    if (source.state === "ended") {
      source.goOn();
    }
    this.showPlace();
  }

  showPlace() {
    const { moment, isIt, source } = this.place;
    const line = this.list.find(moment, (some) => (!source || some.source === source) && isIt(some));
    this.list.unseen = 0; // they were asked for
    if (line && this.list.show(line)) {
      this.offerLink();
    }
  }

  forgetPlace() {
    this.place = null;
    if (this.params.at) {
      this.params.at = this.params.line = null;
      this.remember(this.params.url);
    }
  }

  // At the end of what is here of a place, more is read. Returns whether it is.
  readOn() {
    const cut = this.place?.waits.size === 0 ? this.sources.filter((source) => source.state === "cut") : [];
    for (const source of cut) {
      source.goOn({ most: LINES_AFTER });
    }
    return cut.length > 0;
  }

  onState(source) {
    if (this.place?.waits.has(source)) {
      if (source.state === "ended" || source.state === "cut") {
        this.onSurroundings(source);
      } else if (source.state === "failed") {
        this.place.waits.delete(source);
      }
    }
    this.showState();
  }

  onSkipped(lost) {
    const last = this.list.all.at(-1);
    const text = interpolate(gettext("%s KiB were left out here: this page was too slow for the log."), [
      Math.ceil(lost / 1024).toLocaleString(),
    ]);
    this.list.add([remarkOf(text, { source: last?.source, time: last?.time ?? null })]);
  }

  // A container that starts again goes on writing to the same log; an engine that failed may be back.
  onChange(topics) {
    for (const source of this.sources) {
      if (["ended", "failed"].includes(source.state) && !this.range.isOver() && topics.includes(source.topic)) {
        source.part = { ...source.part, follow: true };
        source.connectAfter(700);
      }
    }
  }

  showState() {
    const has = (state) => this.sources.some((source) => source.state === state);
    const failed = this.sources.find((source) => source.state === "failed");
    const state = has("connecting") ? "connecting" : has("live") || has("cut") ? "live" : "ended";
    this.status.dataset.state = state === "live" && failed ? "connecting" : state;
    this.status.textContent = failed ? this.failureOf(failed) : this.wordsFor(state);
    this.tab?.setStatus(state === "connecting" ? "idle" : state);
    if (state === "live") {
      setTimeout(() => this.list.schedule(), QUIET);
    }
  }

  failureOf(source) {
    return this.sources.length > 1 ? `${source.target.name}: ${source.message}` : source.message;
  }

  wordsFor(state) {
    if (state === "connecting") {
      return this.sources.find((source) => source.message)?.message || gettext("Connecting…");
    }
    if (this.place && this.sources.some((source) => source.state === "cut")) {
      return gettext("A part of the log");
    }
    if (state === "live") {
      return gettext("Following");
    }
    if (this.range.isOver()) {
      return gettext("This is the log until the chosen end.");
    }
    return this.sources.length > 1
      ? gettext("None of the containers is running.")
      : gettext("The container is not running; its log goes on here when it starts.");
  }

  // Following

  togglePause() {
    if (this.list.isPaused) {
      this.toEnd();
    } else {
      this.list.pause();
    }
  }

  toEnd() {
    if (this.place && this.sources.some((source) => source.state === "cut")) {
      this.read();
    } else {
      this.forgetPlace();
      this.list.toEnd();
    }
  }

  showEnd() {
    const { follows, isPaused, unseen, all, lines } = this.list;
    this.pause.setAttribute("aria-pressed", String(isPaused));
    this.more.hidden = follows;
    if (!follows) {
      this.more.textContent =
        unseen > 0
          ? interpolate(ngettext("%s new line ↓", "%s new lines ↓", unseen), [unseen.toLocaleString()])
          : gettext("Go to the end ↓");
    }
    this.empty.textContent = this.wordsForNothing(all.length > 0);
    this.empty.hidden = lines.length > 0 || this.status.dataset.state === "connecting";
  }

  wordsForNothing(isFiltered) {
    if (isFiltered) {
      return gettext("No line here has such a level.");
    }
    return this.range.begin() === null && this.params.until === null
      ? gettext("Nothing has been written yet.")
      : gettext("Nothing was written in this time.");
  }

  // One line

  showHit(hit) {
    const isIt = (line) => line.source === hit.source && plain(line.text) === hit.text;
    const line = this.list.find(hit.moment, isIt);
    if (line && momentOf(line) === hit.moment && isIt(line) && this.list.show(line)) {
      this.offerLink();
    } else {
      this.goTo(hit.moment, isIt, hit.source);
    }
  }

  choose(line) {
    this.list.choose(line);
    this.list.stay();
    this.offerLink();
  }

  offerLink() {
    const line = this.list.chosen;
    this.copy.hidden = !line?.time;
    if (line?.time) {
      this.params.at = momentOf(line);
      this.params.line = hashOf(line.text);
      this.remember(this.linkTo(line));
    }
  }

  linkTo(line) {
    const url = new URL(this.params.url, location.href);
    url.searchParams.set("at", momentOf(line));
    url.searchParams.set("line", hashOf(line.text));
    return url.href;
  }

  copyLink() {
    if (this.list.chosen) {
      copyText(this.linkTo(this.list.chosen));
    }
  }

  // The address of the page is that of what it shows; a tab of the dock has none.
  remember(url) {
    if (!this.tab && this.isPage) {
      history.replaceState(history.state, "", url);
    }
  }

  // Places

  moveToDock() {
    const key = this.sources.map(({ target }) => `${target.host}:${target.container}`).join("+");
    // A line that is only chosen is no place to go to.
    const { at, line } = this.place ? this.params : { at: null, line: null };
    dock.open({ kind: "logs", key: `logs:${key}`, title: this.title, params: { ...this.params, at, line } });
  }

  putInto(container, tab) {
    this.tab = tab;
    this.isPage = !tab;
    this.moveButton.hidden = Boolean(tab);
    // The page has it as its title.
    this.where.hidden = !tab;
    container.replaceChildren(this.root);
  }

  close() {
    document.removeEventListener("live:changed", this.onLive);
    this.finder.clear();
    this.list.close();
    for (const source of this.sources) {
      source.close();
    }
  }
}

// A tab that was kept by an older page has one container beside its choices.
function paramsOf({ host, container, name, ...params }) {
  return params.sources ? params : { ...params, sources: [{ host, container, name }], url: `/containers/${host}/${container}/logs/` };
}

/** In a page. */
export function mount(place) {
  const { host, container, name, sources } = place.dataset;
  const query = new URLSearchParams(location.search);
  const [at, line] = [query.get("at"), query.get("line")];
  query.delete("at");
  query.delete("line");
  const view = new LogsView({
    sources: sources ? JSON.parse(sources) : [{ host, container, name }],
    url: `${location.pathname}${query.size > 0 ? `?${query}` : ""}`,
    at: /^\d{1,19}$/.test(at ?? "") ? at.padStart(19, "0") : null,
    line,
  });
  view.putInto(place.querySelector("[data-place]"), null);
  return () => view.close();
}

dock.register("logs", (container, params, tab) => {
  const view = new LogsView(paramsOf(params));
  view.putInto(container, tab);
  return {
    focus: () => view.list.view.focus({ preventScroll: true }),
    resize: () => view.list.remeasure(),
    close: () => view.close(),
    serialize: () => ({ ...view.params }),
  };
});
