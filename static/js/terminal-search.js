// Searching in what a terminal has shown.

import { SearchAddon } from "../vendor/xterm/addon-search.mjs";
import { element } from "./elements.js";
import { button } from "./terminal-parts.js";

const MARKS = {
  matchBackground: "#6b5a1e",
  matchOverviewRuler: "#e5b454",
  activeMatchBackground: "#b8801f",
  activeMatchColorOverviewRuler: "#ffd37a",
};
/** Marking more would take longer than it helps. */
const MOST = 2000;

export class Search {
  constructor({ terminal, onToggle }) {
    this.terminal = terminal;
    this.onToggle = onToggle;
    this.field = element("input", {
      class: "input",
      type: "search",
      placeholder: gettext("Search in the scrollback"),
      "aria-label": gettext("Search in the scrollback"),
      on: {
        input: () => this.find(1, { stays: true }),
        keydown: (event) => {
          if (event.key === "Enter") {
            event.preventDefault();
            this.find(event.shiftKey ? -1 : 1);
          } else if (event.key === "Escape") {
            event.preventDefault();
            this.toggle(false);
          }
        },
      },
    });
    this.count = element("span", { class: "muted small num terminal-count", role: "status" });
    this.caseButton = button("Aa", () => this.toggleCase(), { name: "case" });
    this.caseButton.setAttribute("aria-label", gettext("Upper and lower case matter"));
    this.caseButton.setAttribute("title", gettext("Upper and lower case matter"));
    this.caseButton.setAttribute("aria-pressed", "false");
    this.root = element(
      "div",
      { class: "stream-search", role: "search", hidden: true },
      this.field,
      this.count,
      this.caseButton,
      button(gettext("Previous"), () => this.find(-1), { name: "previous" }),
      button(gettext("Next"), () => this.find(1), { name: "next" }),
      button(gettext("Close"), () => this.toggle(false), { name: "close-search" }),
    );
    this.load();
  }

  load() {
    this.finder = new SearchAddon({ highlightLimit: MOST });
    this.terminal.loadAddon(this.finder);
    this.finder.onDidChangeResults(({ resultIndex, resultCount }) => this.tell(resultIndex, resultCount));
  }

  /** The terminal was cleared: what the addon remembers of its lines is of lines that are no more. */
  renew() {
    this.finder.dispose();
    this.load();
    if (!this.root.hidden) {
      this.tell(-1, 0);
    }
  }

  get isOpen() {
    return !this.root.hidden;
  }

  toggle(open) {
    this.root.hidden = !open;
    if (open) {
      this.field.focus();
      this.field.select();
      this.find(1, { stays: true });
    } else {
      this.finder.clearDecorations();
    }
    this.onToggle(open);
  }

  toggleCase() {
    const isOn = this.caseButton.getAttribute("aria-pressed") !== "true";
    this.caseButton.setAttribute("aria-pressed", String(isOn));
    this.find(1, { stays: true });
  }

  find(direction, { stays = false } = {}) {
    const text = this.field.value;
    if (!text) {
      this.finder.clearDecorations();
      this.tell(-1, 0);
      return;
    }
    const options = {
      caseSensitive: this.caseButton.getAttribute("aria-pressed") === "true",
      incremental: stays,
      decorations: MARKS,
    };
    if (direction > 0) {
      this.finder.findNext(text, options);
    } else {
      this.finder.findPrevious(text, options);
    }
  }

  tell(at, count) {
    const isSought = Boolean(this.field.value);
    this.field.setAttribute("aria-invalid", String(isSought && count === 0));
    if (!isSought) {
      this.count.textContent = "";
    } else if (count >= MOST) {
      this.count.textContent = interpolate(gettext("more than %s"), [MOST - 1]);
    } else if (at < 0) {
      this.count.textContent = interpolate(ngettext("%s hit", "%s hits", count), [count]);
    } else {
      this.count.textContent = interpolate(gettext("%s of %s"), [at + 1, count]);
    }
  }
}
