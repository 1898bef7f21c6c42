// One place that knows when parts of the page have been replaced, by HTMX, by the back button or by a live refresh.

const listeners = [];

/** Call `listener(root)` now for the whole page, and later for each part that was replaced. */
export function onSwap(listener) {
  listeners.push(listener);
  listener(document.body);
}

/** Tell everybody that `root` holds new content. */
export function swapped(root) {
  for (const listener of listeners) {
    listener(root);
  }
}

document.addEventListener("htmx:afterSettle", (event) => swapped(event.target));
document.addEventListener("htmx:historyRestore", () => swapped(document.body));
