// The list of containers: a row opens below itself for a quick look.

import { announce } from "./announce.js";

async function open(button, row) {
  button.setAttribute("aria-expanded", "true");
  const answer = await fetch(button.dataset.look, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
  if (!answer.ok || button.getAttribute("aria-expanded") !== "true") {
    button.setAttribute("aria-expanded", "false");
    if (!answer.ok) announce(gettext("The details could not be loaded."));
    return;
  }
  const template = document.createElement("template");
  template.innerHTML = await answer.text();
  const look = template.content.querySelector("tr");
  row.after(look);
  window.htmx.process(look);
}

function lookOf(row) {
  const next = row.nextElementSibling;
  return next && next.dataset.lookOf === row.id ? next : null;
}

export function mount(list) {
  const abort = new AbortController();
  list.addEventListener(
    "click",
    (event) => {
      const button = event.target.closest("[data-look]");
      if (!button) return;
      const row = button.closest("tr");
      const shown = lookOf(row);
      if (shown) {
        shown.remove();
        button.setAttribute("aria-expanded", "false");
      } else open(button, row);
    },
    { signal: abort.signal },
  );
  return () => abort.abort();
}
