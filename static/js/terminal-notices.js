// What is told beside a terminal: messages, locks, warnings. They lie above its screen until they are closed or over.

import { announce } from "./announce.js";
import { element } from "./elements.js";
import { icon } from "./icons.js";

const HINT = 2500;

export class Notices {
  constructor() {
    this.root = element("div", { class: "terminal-banners" });
    this.hintPlace = element("div", { class: "terminal-hint", hidden: true });
  }

  /** Show a banner; another of the same kind takes its place. `level` is info, warning or error. */
  show(kind, text, { level = "info", detail = "", stays = false } = {}) {
    this.hide(kind);
    const banner = element(
      "div",
      { class: "terminal-banner", "data-kind": kind, "data-level": level },
      icon(level),
      element(
        "p",
        {},
        element("strong", { text }),
        " ",
        detail ? element("span", { text: detail }) : null,
      ),
      stays
        ? null
        : element(
            "button",
            {
              type: "button",
              class: "btn",
              "data-variant": "ghost",
              "data-size": "icon-xs",
              "aria-label": gettext("Close"),
              on: { click: () => banner.remove() },
            },
            icon("x"),
          ),
    );
    this.root.append(banner);
    announce(detail ? `${text} ${detail}` : text);
  }

  hide(kind) {
    this.root.querySelector(`[data-kind="${kind}"]`)?.remove();
  }

  clear() {
    this.root.replaceChildren();
  }

  /** Say something for a moment, or, when it `stays`, until it is said otherwise. */
  hint(text, { stays = false } = {}) {
    clearTimeout(this.timer);
    this.hintPlace.textContent = text;
    this.hintPlace.hidden = !text;
    if (text && !stays) {
      this.timer = setTimeout(() => this.hint(""), HINT);
    }
  }
}
