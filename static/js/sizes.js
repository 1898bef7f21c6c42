// Sizes and figures in words, the same as the server's (console/lib/templatetags/components.py).

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];
const language = document.documentElement.lang || "en";
const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** Return `bytes` in the largest fitting decimal unit. */
export function formatBytes(bytes) {
  let value = bytes;
  let place = 0;
  while (Math.abs(value) >= 999.5 && place < UNITS.length - 1) {
    value /= 1000;
    place += 1;
  }
  return `${(place === 0 || value >= 99.95 ? whole : tenths).format(value)} ${UNITS[place]}`;
}

/** Return a number with the language's separators. */
export function formatNumber(value) {
  return whole.format(value);
}
