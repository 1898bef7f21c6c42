// Scripts that only some pages need: <element data-module="name"> loads its module and hands the element to mount().

import { onSwap } from "./swaps.js";

const MODULES = {
  terminal: () => import("./terminal.js"),
  logs: () => import("./logs.js"),
  stats: () => import("./stats.js"),
  replay: () => import("./replay.js"),
  operation: () => import("./operation.js"),
  operations: () => import("./operations.js"),
  facets: () => import("./facets.js"),
  "container-form": () => import("./container-form.js"),
  "container-list": () => import("./container-list.js"),
  moments: () => import("./moments.js"),
  "kept-log": () => import("./kept-log.js"),
  "json-tree": () => import("./json-tree.js"),
  "security-key": () => import("./security-key.js"),
};

const mounted = new Map();

async function mount(place) {
  const load = MODULES[place.dataset.module];
  if (!load) {
    console.error(`No module is called ${place.dataset.module}.`);
    return;
  }
  mounted.set(place, null);
  const module = await load();
  if (place.isConnected && mounted.has(place)) {
    mounted.set(place, module.mount(place) ?? null);
  }
}

/** Mount what is there and unmount what has gone, now and after each swap. */
export function startModules() {
  onSwap(() => {
    for (const [place, unmount] of mounted) {
      if (!place.isConnected) {
        mounted.delete(place);
        unmount?.();
      }
    }
    for (const place of document.querySelectorAll("[data-module]")) {
      if (!mounted.has(place)) {
        mount(place);
      }
    }
  });
}
