// Choosing rows of a list: <form data-bulk> with checkboxes .row-check, one data-check-all and a .bulkbar.

import { lead } from "./links.js";
import { onSwap } from "./swaps.js";

let last = null;

function update(form) {
  const boxes = [...form.querySelectorAll(".row-check")];
  const chosen = boxes.filter((box) => box.checked).length;
  for (const all of form.querySelectorAll("[data-check-all]")) {
    all.checked = boxes.length > 0 && chosen === boxes.length;
    all.indeterminate = chosen > 0 && chosen < boxes.length;
  }
  for (const bar of form.querySelectorAll(".bulkbar")) {
    bar.hidden = chosen === 0;
  }
  // A page about what is chosen.
  for (const link of form.querySelectorAll("[data-bulk-link]")) {
    const query = new URLSearchParams(boxes.filter((box) => box.checked).map((box) => ["ids", box.value]));
    lead(link, new URL(`${link.pathname}?${query}`, location.href).href);
  }
  for (const count of form.querySelectorAll("[data-bulk-count]")) {
    count.textContent = interpolate(ngettext("%s selected", "%s selected", chosen), [chosen]);
  }
}

function extend(form, box) {
  const boxes = [...form.querySelectorAll(".row-check")];
  const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)].sort((a, b) => a - b);
  if (from >= 0) {
    for (const between of boxes.slice(from, to + 1)) {
      between.checked = box.checked;
    }
  }
}

/** Wire up every list whose rows can be chosen. Shift extends a choice; data-bulk-clear ends it. */
export function startSelection() {
  document.addEventListener("click", (event) => {
    const form = event.target.closest("form[data-bulk]");
    if (!form) {
      return;
    }
    if (event.target.matches("[data-check-all]")) {
      for (const box of form.querySelectorAll(".row-check")) {
        box.checked = event.target.checked;
      }
    } else if (event.target.matches(".row-check")) {
      if (event.shiftKey) {
        extend(form, event.target);
      }
      last = event.target;
    } else if (event.target.closest("[data-bulk-clear]")) {
      for (const box of form.querySelectorAll(".row-check")) {
        box.checked = false;
      }
    } else {
      return;
    }
    update(form);
  });
  onSwap(() => document.querySelectorAll("form[data-bulk]").forEach(update));
}
