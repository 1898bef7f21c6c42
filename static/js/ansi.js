// What a program wrote, as text in colours: escape sequences become spans or vanish, everything else stays text.

const SEQUENCE = /\x1b(?:\[([0-9;:]*)([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[@-Z\\-_]|[ -/]+[0-~])/g;
const CONTROL = /[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]/g;

const SPECIAL = /[\x00-\x08\x0b-\x1f\x7f]/;

const BASIC = [
  "#4a5364", "#f2777a", "#7fd49b", "#f0c674", "#7cacf8", "#c99af5", "#67d4d8", "#cfd6e1",
  "#7d8798", "#ff9c9e", "#a2ecb9", "#ffe09b", "#a8c9ff", "#e0bdff", "#98edf0", "#ffffff",
];

function indexed(number) {
  if (number < 16) {
    return BASIC[number];
  }
  if (number >= 232) {
    const grey = 8 + (number - 232) * 10;
    return `rgb(${grey} ${grey} ${grey})`;
  }
  const level = (part) => (part === 0 ? 0 : 55 + part * 40);
  const cube = number - 16;
  return `rgb(${level(Math.floor(cube / 36))} ${level(Math.floor(cube / 6) % 6)} ${level(cube % 6)})`;
}

function apply(style, codes) {
  const numbers = codes === "" ? [0] : codes.split(/[;:]/).map(Number);
  for (let at = 0; at < numbers.length; at += 1) {
    const code = numbers[at];
    if (code === 0) {
      Object.assign(style, { color: "", ground: "", bold: false, faint: false, italic: false, underline: false });
    } else if (code === 1) {
      style.bold = true;
    } else if (code === 2) {
      style.faint = true;
    } else if (code === 3) {
      style.italic = true;
    } else if (code === 4) {
      style.underline = true;
    } else if (code === 22) {
      style.bold = style.faint = false;
    } else if (code === 23) {
      style.italic = false;
    } else if (code === 24) {
      style.underline = false;
    } else if (code === 38 || code === 48) {
      const key = code === 38 ? "color" : "ground";
      if (numbers[at + 1] === 5 && numbers[at + 2] <= 255) {
        style[key] = indexed(numbers[at + 2]);
        at += 2;
      } else if (numbers[at + 1] === 2) {
        const [red, green, blue] = numbers.slice(at + 2, at + 5).map((part) => Math.min(255, part || 0));
        style[key] = `rgb(${red ?? 0} ${green ?? 0} ${blue ?? 0})`;
        at += 4;
      }
    } else if (code === 39) {
      style.color = "";
    } else if (code === 49) {
      style.ground = "";
    } else if (code >= 30 && code <= 37) {
      style.color = BASIC[code - 30];
    } else if (code >= 90 && code <= 97) {
      style.color = BASIC[code - 82];
    } else if (code >= 40 && code <= 47) {
      style.ground = BASIC[code - 40];
    } else if (code >= 100 && code <= 107) {
      style.ground = BASIC[code - 92];
    }
  }
}

/** The text alone, for search and for measuring. */
export function plain(line) {
  if (!SPECIAL.test(line)) {
    return line;
  }
  return line.replace(SEQUENCE, "").replace(CONTROL, "");
}

/** Return runs of {text, style} of one line. */
export function runs(line) {
  const style = { color: "", ground: "", bold: false, faint: false, italic: false, underline: false };
  const found = [];
  let at = 0;
  for (const match of line.matchAll(SEQUENCE)) {
    if (match.index > at) {
      found.push({ text: line.slice(at, match.index).replace(CONTROL, ""), style: { ...style } });
    }
    if (match[2] === "m") {
      apply(style, match[1]);
    }
    at = match.index + match[0].length;
  }
  if (at < line.length) {
    found.push({ text: line.slice(at).replace(CONTROL, ""), style: { ...style } });
  }
  return found;
}

/** Put a style of runs() on an element. */
export function dress(target, style) {
  target.style.color = style.color;
  target.style.backgroundColor = style.ground;
  target.style.fontWeight = style.bold ? "700" : "";
  target.style.opacity = style.faint ? "0.7" : "";
  target.style.fontStyle = style.italic ? "italic" : "";
  target.style.textDecoration = style.underline ? "underline" : "";
}
