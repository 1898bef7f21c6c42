// Light, dark, or like the system. early.js colours the page; this remembers the choice on the server.

import { csrfToken } from "./elements.js";

const ORDER = ["system", "light", "dark"];

function choose(theme) {
  document.documentElement.dataset.theme = theme;
  for (const button of document.querySelectorAll("[data-theme-set]")) {
    const mark = button.hasAttribute("aria-pressed") ? "aria-pressed" : "aria-checked";
    button.setAttribute(mark, String(button.dataset.themeSet === theme));
  }
  fetch(document.body.dataset.themeUrl, {
    method: "POST",
    body: new URLSearchParams({ theme }),
    headers: { "X-CSRFToken": csrfToken() },
    redirect: "manual",
  }).catch((problem) => console.warn("The theme could not be remembered.", problem));
}

/** Wire up everything that chooses a theme, and tell charts when the colours change. */
export function startTheme() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-set], [data-theme-cycle]");
    if (!button) {
      return;
    }
    // Some stand in a form that does the same without this script.
    event.preventDefault();
    const present = document.documentElement.dataset.theme || "system";
    choose(button.dataset.themeSet ?? ORDER[(ORDER.indexOf(present) + 1) % ORDER.length]);
  });
  let dark = isDark();
  new MutationObserver(() => {
    if (isDark() !== dark) {
      dark = isDark();
      document.dispatchEvent(new CustomEvent("theme:changed", { detail: { dark } }));
    }
  }).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
}

/** Whether the page is dark at present. */
export function isDark() {
  return document.documentElement.classList.contains("dark");
}
