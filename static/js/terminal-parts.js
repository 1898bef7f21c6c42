// Small pieces that the parts of a terminal are made of.

import { element } from "./elements.js";
import { icon } from "./icons.js";

/** A button of the bar, with words. */
export function button(label, run, { name = null, variant = "ghost", foldable = false } = {}) {
  return element("button", {
    type: "button",
    class: foldable ? "btn terminal-foldable" : "btn",
    "data-variant": variant,
    "data-size": "xs",
    "data-name": name,
    text: label,
    on: { click: run },
  });
}

/** A button of the bar that opens `panel`, which has to follow it. */
export function opener(drawing, label, { name, kind = "popup", text = null }) {
  const made = element(
    "button",
    {
      type: "button",
      class: "btn",
      "data-variant": "ghost",
      "data-size": "xs",
      "data-name": name,
      [`data-${kind}`]: true,
      "aria-haspopup": kind === "menu" ? "menu" : "dialog",
      "aria-expanded": "false",
      "aria-label": label,
      title: label,
    },
    icon(drawing),
  );
  if (text) {
    made.append(text);
  }
  return made;
}

/** An item of a menu. */
export function menuItem(label, run, { name, foldable = false, danger = false } = {}) {
  return element("button", {
    type: "button",
    class: ["menu-item", foldable ? "terminal-folded" : "", danger ? "danger" : ""].filter(Boolean).join(" "),
    role: "menuitem",
    "data-name": name,
    text: label,
    on: { click: run },
  });
}
