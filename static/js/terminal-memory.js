// Terminals that run in a page, not in the dock: a reload finds them again, a page without them gets them as a tab.

const STORE = "pilothouse.terminals";

const person = () => document.body.dataset.person;

function read() {
  let stored = null;
  try {
    stored = JSON.parse(sessionStorage.getItem(STORE) ?? "null");
  } catch (problem) {
    console.warn("What was remembered of terminals cannot be read.", problem);
  }
  // Somebody else's terminals are nobody's business.
  return stored?.person === person() ? stored.terminals : [];
}

function write(terminals) {
  try {
    sessionStorage.setItem(STORE, JSON.stringify({ person: person(), terminals }));
  } catch (problem) {
    console.warn("A terminal cannot be remembered.", problem);
  }
}

/** Keep what a terminal of a page would need to be found again. */
export function remember(params) {
  write([...read().filter(({ key }) => key !== params.key), params]);
}

/** It has ended, or it lives in the dock now. */
export function forget(key) {
  const before = read();
  const after = before.filter((params) => params.key !== key);
  if (after.length < before.length) {
    write(after);
  }
}

/** Return what is remembered of a terminal in this container, if there is one. */
export function recall({ host, container }) {
  return read().find((params) => params.host === host && params.container === container) ?? null;
}

/** After a load: what no page shows any more goes on in the dock. `dock` is the one of dock.js. */
export function rescue(dock) {
  const places = [...document.querySelectorAll('[data-module="terminal"]')];
  for (const params of read()) {
    const isShown = places.some(({ dataset }) => dataset.host === params.host && dataset.container === params.container);
    if (!isShown) {
      forget(params.key);
      dock.open({ kind: "terminal", key: params.key, title: params.title || params.name, params });
    }
  }
}
