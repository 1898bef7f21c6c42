// Live charts of one container: CPU, memory, network and disk, a sample about every second while the page is seen.

import uPlot from "../vendor/uplot/uplot.mjs";
import { element } from "./elements.js";
import { openStream } from "./stream.js";

const MOST = 600;
const UNITS = ["B", "kB", "MB", "GB", "TB"];

function size(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

const rate = (bytes) => `${size(bytes)}/s`;
const cores = (value) => `${(value * 100).toFixed(value < 0.1 ? 1 : 0)} %`;

const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString(document.documentElement.lang, { hour12: false });

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** What each chart shows: which series, how they read, and what stands beside the title. */
const CHARTS = {
  cpu: { series: [[gettext("CPU"), "--chart-1"]], format: cores, fill: true },
  memory: { series: [[gettext("Memory"), "--chart-2"], [gettext("Limit"), "--chart-4"]], format: size, fill: true },
  network: { series: [[gettext("Received"), "--chart-1"], [gettext("Sent"), "--chart-3"]], format: rate },
  disk: { series: [[gettext("Read"), "--chart-2"], [gettext("Written"), "--chart-3"]], format: rate },
};

class StatsView {
  constructor(place) {
    this.place = place;
    this.samples = [];
    this.charts = new Map();
    this.status = place.querySelector("[data-status]");
    this.draw();
    this.onTheme = () => this.draw();
    this.onVisibility = () => (document.hidden ? this.disconnect() : this.connect());
    this.themes = new MutationObserver(this.onTheme);
    this.themes.observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
    document.addEventListener("visibilitychange", this.onVisibility);
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(place);
    this.connect();
  }

  connect() {
    if (this.stream) {
      return;
    }
    const { host, container } = this.place.dataset;
    this.problem = "";
    this.stream = openStream({
      path: "/ws/stats/",
      first: { type: "open", host, container },
      onBytes: () => {},
      onControl: (frame) => this.onControl(frame),
      onClose: () => this.onClose(),
    });
  }

  disconnect() {
    const stream = this.stream;
    this.stream = null;
    stream?.close();
  }

  onClose() {
    if (this.stream) {
      this.stream = null;
      this.say("ended", this.problem || gettext("The connection was lost."));
      this.retry = setTimeout(() => this.connect(), 5000);
    }
  }

  onControl(frame) {
    if (frame.type === "sample") {
      this.samples.push(frame);
      if (this.samples.length > MOST) {
        this.samples.shift();
      }
      this.say("live", gettext("Live"));
      this.update();
    } else if (frame.type === "end") {
      this.problem = gettext("The container is not running.");
    } else if (frame.type === "error") {
      this.problem = `${frame.message} ${frame.next_step}`;
    }
  }

  say(state, text) {
    this.status.dataset.state = state;
    this.status.textContent = text;
  }

  data(name) {
    const at = this.samples.map((sample) => sample.at);
    const column = (key) => this.samples.map((sample) => sample[key]);
    const perSecond = (key) =>
      this.samples.map((sample, index) => {
        const before = this.samples[index - 1];
        const seconds = before ? sample.at - before.at : 0;
        return seconds > 0 ? Math.max(0, (sample[key] - before[key]) / seconds) : null;
      });
    return {
      cpu: () => [at, column("cpu_cores")],
      memory: () => [at, column("memory_bytes"), this.limits()],
      network: () => [at, perSecond("network_received_bytes"), perSecond("network_sent_bytes")],
      disk: () => [at, perSecond("block_read_bytes"), perSecond("block_written_bytes")],
    }[name]();
  }

  // A limit of the whole host's memory is none: drawing it would flatten the curve.
  limits() {
    return this.samples.map(({ memory_limit_bytes: limit, memory_bytes: used }) => (limit > 0 && limit < used * 20 ? limit : null));
  }

  draw() {
    for (const [name, chart] of Object.entries(CHARTS)) {
      this.charts.get(name)?.destroy();
      const body = this.place.querySelector(`[data-chart="${name}"]`);
      body.replaceChildren();
      const grid = { stroke: colour("--border"), width: 1 };
      const axis = { stroke: colour("--muted-foreground"), grid, ticks: { show: false }, font: "11px sans-serif" };
      const made = new uPlot(
        {
          width: Math.max(200, body.clientWidth - 16),
          height: Math.max(120, body.clientHeight - 12),
          padding: [8, 8, 0, 0],
          cursor: { y: false, points: { size: 6 } },
          scales: { x: { time: true }, y: { range: (_plot, _low, high) => [0, high > 0 ? high * 1.15 : 1] } },
          axes: [{ ...axis, values: (_plot, times) => times.map(clock) }, { ...axis, size: 62, values: (_plot, values) => values.map((value) => chart.format(value)) }],
          series: [
            {},
            ...chart.series.map(([label, name_], index) => ({
              label,
              stroke: colour(name_),
              width: 1.75,
              dash: label === gettext("Limit") ? [4, 4] : undefined,
              fill: chart.fill && index === 0 ? `color-mix(in oklab, ${colour(name_)} 14%, transparent)` : undefined,
              points: { show: false },
            })),
          ],
        },
        this.data(name),
        body,
      );
      this.charts.set(name, made);
    }
    this.update();
  }

  update() {
    const last = this.samples.at(-1);
    for (const [name, chart] of this.charts) {
      chart.setData(this.data(name));
      const value = this.place.querySelector(`[data-value="${name}"]`);
      value.replaceChildren();
      if (!last) {
        continue;
      }
      const columns = this.data(name).slice(1);
      CHARTS[name].series.forEach(([label, colourName], index) => {
        const number = columns[index].at(-1);
        if (number === null || number === undefined) {
          return;
        }
        const dot = element("span", { class: "chart-dot", "aria-hidden": "true" });
        dot.style.background = colour(colourName);
        value.append(element("span", { class: "chart-number" }, dot, `${label} ${CHARTS[name].format(number)}`));
      });
    }
    const pids = this.place.querySelector('[data-value="pids"]');
    pids.textContent = last ? interpolate(ngettext("%s process", "%s processes", last.pids), [last.pids]) : "";
  }

  resize() {
    for (const [name, chart] of this.charts) {
      const body = this.place.querySelector(`[data-chart="${name}"]`);
      chart.setSize({ width: Math.max(200, body.clientWidth - 16), height: Math.max(120, body.clientHeight - 12) });
    }
  }

  close() {
    clearTimeout(this.retry);
    this.disconnect();
    this.observer.disconnect();
    this.themes.disconnect();
    document.removeEventListener("visibilitychange", this.onVisibility);
    for (const chart of this.charts.values()) {
      chart.destroy();
    }
  }
}

/** In a page. */
export function mount(place) {
  const view = new StatsView(place);
  return () => view.close();
}
