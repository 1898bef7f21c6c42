// The list of containers: a row opens below itself for a quick look, and stays open while the list changes around it.

import { announce } from "./announce.js";

export function mount(list) {
  const abort = new AbortController();
  const looks = new Map(); // id of a row -> the row below it

  function show(row, look) {
    row.after(look);
    row.querySelector("[data-look]")?.setAttribute("aria-expanded", "true");
  }

  function close(row) {
    looks.get(row.id)?.remove();
    looks.delete(row.id);
    row.querySelector("[data-look]")?.setAttribute("aria-expanded", "false");
  }

  async function open(row) {
    const placeholder = document.createElement("tr");
    placeholder.className = "expanded-row";
    const cell = placeholder.insertCell();
    cell.colSpan = row.cells.length;
    cell.className = "muted";
    cell.textContent = gettext("One moment…");
    looks.set(row.id, placeholder);
    show(row, placeholder);
    const answer = await fetch(`${row.querySelector(".row-link").href}look/`, { headers: { "HX-Request": "true" } });
    if (!looks.has(row.id)) return;
    const fragment = document.createElement("template");
    if (answer.ok) fragment.innerHTML = await answer.text();
    const look = fragment.content.querySelector("tr");
    if (!look) {
      close(row);
      announce(gettext("The details could not be loaded."));
      return;
    }
    placeholder.replaceWith(look);
    looks.set(row.id, look);
    window.htmx.process(look);
  }

  list.addEventListener(
    "click",
    (event) => {
      const button = event.target.closest("[data-look]");
      if (!button) return;
      const row = button.closest("tr");
      if (looks.has(row.id)) close(row);
      else open(row);
    },
    { signal: abort.signal },
  );

  // A refreshed list knows nothing of what is open here: put it back before anybody sees it missing.
  const observer = new MutationObserver(() => {
    for (const [id, look] of looks) {
      const row = document.getElementById(id);
      if (!row) {
        look.remove();
        looks.delete(id);
      } else if (row.nextElementSibling !== look) show(row, look);
    }
  });
  observer.observe(list, { childList: true, subtree: true });

  return () => {
    observer.disconnect();
    abort.abort();
  };
}
