// Looks into lines of a log for log-search.js, apart from the page.

import { plain } from "./ansi.js";

const LONGEST_SEARCHED = 4000;

function rangesIn(line, expression) {
  const found = [];
  for (const match of line.matchAll(expression)) {
    if (match[0].length > 0) {
      found.push([match.index, match.index + match[0].length]);
    }
  }
  return found;
}

// Where each line has it (`wantsRanges`), or which of the lines have it.
self.addEventListener("message", ({ data: { source, text, wantsRanges } }) => {
  const begun = performance.now();
  const tester = new RegExp(source, "i");
  const expression = new RegExp(source, "gi");
  const answer = { ranges: [], hits: [] };
  for (const [at, whole] of text.split("\n").entries()) {
    const line = plain(whole).slice(0, LONGEST_SEARCHED);
    const ranges = tester.test(line) ? rangesIn(line, expression) : [];
    if (wantsRanges) {
      answer.ranges.push(ranges);
    } else if (ranges.length > 0) {
      answer.hits.push(at);
    }
  }
  self.postMessage({ ...answer, took: performance.now() - begun });
});
self.postMessage("ready");
