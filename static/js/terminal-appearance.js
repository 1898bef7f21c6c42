// How terminals look: font, size and colours, the same for all of them, remembered by the browser.

import { element } from "./elements.js";
import { opener } from "./terminal-parts.js";

const STORE = "pilothouse.terminal";
const SMALLEST = 8;
const LARGEST = 28;

const FAMILIES = {
  jetbrains: '"JetBrains Mono Variable", ui-monospace, "Noto Sans Mono CJK KR", monospace',
  system: 'ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", "Noto Sans Mono CJK KR", monospace',
};

const COLOURS = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

// The sixteen colours of programs in their order, after those of the terminal itself. `contrast`: text that a program
// makes harder to read than this is moved away from its ground.
const THEMES = {
  dark: theme(
    "#0f1218 #e3e7ee #8db4ff #35507f",
    "#20252f #f2777a #7fd49b #f0c674 #7cacf8 #c99af5 #67d4d8 #cfd6e1",
    "#6b7587 #ff9c9e #a2ecb9 #ffe09b #a8c9ff #e0bdff #98edf0 #ffffff",
  ),
  light: theme(
    "#fbfcfe #1f2530 #2456b8 #bcd3fb",
    "#1f2530 #b3261e #1b6e3c #7a5200 #1d55b5 #80359c #0b6a75 #5c6675",
    "#4a5464 #c4322a #23804a #8c6100 #2a66cc #9444b3 #0f7b87 #2f3743",
    { contrast: 4.5 },
  ),
  contrast: theme(
    "#000000 #ffffff #ffff00 #0050c8",
    "#000000 #ff8080 #66ff8c #ffff66 #8cc0ff #ff99ff #66ffff #ffffff",
    "#b0b0b0 #ffb3b3 #a3ffba #ffffb3 #bfdcff #ffccff #b3ffff #ffffff",
    { contrast: 7 },
  ),
  harbour: theme(
    "#05303a #a9b8b5 #e0b060 #1d5563",
    "#0b3c47 #ef6f5e #9db53a #d6a035 #4ba3e3 #d67bb3 #3fb5a8 #e9e3cf",
    "#6f8a90 #f79a72 #bccb63 #e9c069 #7fc0f0 #e6a3cc #73d0c4 #fbf6e6",
    { contrast: 3 },
  ),
};

const shown = new Set();

function theme(base, usual, bright, { contrast = 1 } = {}) {
  const [background, foreground, cursor, selectionBackground] = base.split(" ");
  const colours = { background, foreground, cursor, cursorAccent: background, selectionBackground };
  usual.split(" ").forEach((colour, at) => {
    colours[COLOURS[at]] = colour;
  });
  bright.split(" ").forEach((colour, at) => {
    colours[`bright${COLOURS[at][0].toUpperCase()}${COLOURS[at].slice(1)}`] = colour;
  });
  return { colours, contrast };
}

function chosen() {
  let stored = {};
  try {
    stored = JSON.parse(localStorage.getItem(STORE) ?? "{}");
  } catch (problem) {
    console.warn("How terminals look cannot be read.", problem);
  }
  return {
    size: stored.size >= SMALLEST && stored.size <= LARGEST ? stored.size : 13,
    family: stored.family in FAMILIES ? stored.family : "jetbrains",
    theme: stored.theme in THEMES ? stored.theme : "dark",
  };
}

function choose(changes) {
  localStorage.setItem(STORE, JSON.stringify({ ...chosen(), ...changes }));
  applyToAll();
}

function applyToAll() {
  for (const view of shown) {
    apply(view);
  }
}

function apply(view) {
  const { size, family, theme: name } = chosen();
  const { colours, contrast } = THEMES[name];
  Object.assign(view.terminal.options, {
    fontFamily: FAMILIES[family],
    fontSize: size,
    theme: colours,
    minimumContrastRatio: contrast,
  });
  view.root.dataset.theme = name;
  view.root.style.setProperty("--terminal-ground", colours.background);
  view.appearance.mark();
  view.resize();
}

// Another window of the same browser.
window.addEventListener("storage", (event) => {
  if (event.key === STORE) {
    applyToAll();
  }
});

/** The options that a new terminal begins with. */
export function look() {
  const { size, family, theme: name } = chosen();
  return {
    fontFamily: FAMILIES[family],
    fontSize: size,
    theme: THEMES[name].colours,
    minimumContrastRatio: THEMES[name].contrast,
  };
}

/** The font must be there before the first cell is measured. */
export async function loadFont() {
  const { fontFamily, fontSize } = look();
  await document.fonts.load(`${fontSize}px ${fontFamily}`);
}

/** The popover in which a person chooses. */
export class Appearance {
  constructor(view) {
    this.view = view;
    this.button = opener("appearance", gettext("Appearance"), { name: "appearance" });
    this.size = element("output", { class: "num" });
    const step = (label, name, change) =>
      element("button", {
        type: "button",
        class: "btn",
        "data-variant": "outline",
        "data-size": "xs",
        "data-name": name,
        "aria-label": label,
        text: change < 0 ? "A−" : "A+",
        on: {
          click: () => choose({ size: Math.min(LARGEST, Math.max(SMALLEST, chosen().size + change)) }),
        },
      });
    this.choices = [];
    this.panel = element(
      "div",
      { class: "popover terminal-popover", popover: "auto", role: "dialog", "aria-label": gettext("Appearance") },
      element("div", { class: "popover-head", text: gettext("Appearance") }),
      element(
        "div",
        { class: "terminal-choice" },
        element("span", { text: gettext("Text size") }),
        element("div", { class: "row" }, step(gettext("Smaller text"), "smaller", -1), this.size, step(gettext("Larger text"), "larger", 1)),
      ),
      this.choice("family", gettext("Font"), { jetbrains: "JetBrains Mono", system: gettext("The system’s") }),
      this.choice("theme", gettext("Colours"), {
        dark: gettext("Dark"),
        light: gettext("Light"),
        contrast: gettext("High contrast"),
        harbour: gettext("Harbour"),
      }),
      element("p", { class: "muted small", text: gettext("For all terminals of this browser.") }),
    );
  }

  choice(name, label, options) {
    const group = `${name}-${Math.random().toString(36).slice(2)}`;
    const field = element("fieldset", { class: "terminal-choice" }, element("legend", { text: label }));
    const row = element("div", { class: "terminal-options" });
    for (const [value, words] of Object.entries(options)) {
      const input = element("input", {
        type: "radio",
        class: "sr-only",
        name: group,
        value,
        on: { change: () => choose({ [name]: value }) },
      });
      this.choices.push({ name, value, input });
      row.append(element("label", {}, input, element("span", { text: words })));
    }
    field.append(row);
    return field;
  }

  /** Follow what was chosen, from now on and now. */
  begin() {
    shown.add(this.view);
    apply(this.view);
  }

  mark() {
    const now = chosen();
    this.size.textContent = String(now.size);
    for (const { name, value, input } of this.choices) {
      input.checked = now[name] === value;
    }
  }

  end() {
    shown.delete(this.view);
  }
}

/** The size of text that a person chose; a watcher's may be smaller, to show a larger terminal whole. */
export const textSize = () => chosen().size;
