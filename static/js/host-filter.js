// The host that lists are narrowed to. Their address says it; links from list to list carry it on.

import { lead } from "./links.js";
import { onSwap } from "./swaps.js";

const STORE = "pilothouse.host";

const pathOf = (link) => new URL(link.href).pathname;

function lists() {
  return new Set([...document.querySelectorAll("[data-by-host]")].map(pathOf));
}

function items() {
  return [...document.querySelectorAll("#host-filter [data-host]")];
}

function narrowed(address, host) {
  const url = new URL(address);
  url.searchParams.delete("host");
  url.searchParams.delete("page");
  if (host) {
    url.searchParams.set("host", host);
  }
  return url.href;
}

// A page that is no list says nothing of hosts: the choice is that of the last list in this tab.
function chosen(isList) {
  if (!isList) {
    return [sessionStorage.getItem(STORE)].filter(Boolean);
  }
  const hosts = new URLSearchParams(location.search).getAll("host");
  sessionStorage.setItem(STORE, hosts.length === 1 ? hosts[0] : "");
  return hosts;
}

function describe() {
  const all = items();
  if (all.length === 0) {
    return;
  }
  const paths = lists();
  const isList = paths.has(location.pathname);
  const known = new Set(all.map((item) => item.dataset.host));
  const hosts = chosen(isList).filter((host) => known.has(host));
  const carried = hosts.length === 1 ? hosts[0] : "";
  for (const link of document.querySelectorAll("[data-by-host], .back-link")) {
    if (paths.has(pathOf(link))) {
      lead(link, narrowed(link.href, carried));
    }
  }
  for (const item of all) {
    const { host } = item.dataset;
    const isChosen = host === "" ? hosts.length === 0 : hosts.includes(host);
    item.setAttribute("aria-checked", String(isChosen));
    lead(item, narrowed(isList ? location.href : item.href, host));
  }
  const button = document.getElementById("host-filter-button");
  const names = all.filter((item) => item.getAttribute("aria-checked") === "true").map((item) => item.querySelector("span").textContent);
  const name = names.length === 1 ? names[0] : interpolate(ngettext("%s host", "%s hosts", names.length), [names.length]);
  button.querySelector(".host-filter-name").textContent = name;
  button.setAttribute("aria-label", interpolate(gettext("Shown: %s"), [name]));
  button.title = names.join(", ");
  button.toggleAttribute("data-chosen", hosts.length > 0);
}

/** Keep the filter in the top bar, and the links from list to list, at what the page shows. */
export function startHostFilter() {
  onSwap(describe);
}
