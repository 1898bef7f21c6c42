// A JSON text as a tree that folds and can be searched. Values come from engines: they are only ever text.

const OPEN_DEPTH = 2;
const MOST_MARKS = 500;

function leaf(value) {
  const span = document.createElement("span");
  const kind = value === null ? "null" : typeof value;
  span.className = `json-${kind}`;
  span.textContent = kind === "string" ? JSON.stringify(value) : String(value);
  return span;
}

function keySpan(key) {
  const span = document.createElement("span");
  span.className = "json-key";
  span.textContent = key;
  return span;
}

function node(key, value, depth) {
  const isBranch = value !== null && typeof value === "object";
  if (!isBranch) {
    const line = document.createElement("div");
    line.className = "json-line";
    line.append(keySpan(key), ": ", leaf(value));
    return line;
  }
  const entries = Array.isArray(value) ? value.map((item, index) => [String(index), item]) : Object.entries(value);
  if (!entries.length) {
    const line = document.createElement("div");
    line.className = "json-line";
    const empty = document.createElement("span");
    empty.className = "json-null";
    empty.textContent = Array.isArray(value) ? "[]" : "{}";
    line.append(keySpan(key), ": ", empty);
    return line;
  }
  const details = document.createElement("details");
  details.open = depth < OPEN_DEPTH;
  const summary = document.createElement("summary");
  const count = document.createElement("span");
  count.className = "json-count";
  count.textContent = Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`;
  summary.append(keySpan(key), " ", count);
  details.append(summary);
  for (const [name, item] of entries) details.append(node(name, item, depth + 1));
  return details;
}

export function mount(element) {
  const root = element.querySelector("[data-tree-root]");
  const source = element.querySelector("[data-tree-source]");
  const search = element.querySelector("[data-tree-search]");
  const count = element.querySelector("[data-tree-count]");
  const abort = new AbortController();
  const { signal } = abort;
  let value;
  try {
    value = JSON.parse(source.querySelector("pre").textContent);
  } catch {
    return undefined;
  }
  root.replaceChildren(...Object.entries(value).map(([key, item]) => node(key, item, 1)));
  // The text stays for copying; the tree stands in its place.
  const copy = source.querySelector("[data-copy]");
  if (copy) element.querySelector(".panel-header .row").append(copy);
  source.hidden = true;

  function find() {
    const wanted = search.value.trim().toLowerCase();
    let found = 0;
    for (const line of root.querySelectorAll(".json-line, summary")) {
      const hit = wanted && line.textContent.toLowerCase().includes(wanted);
      line.classList.toggle("is-hit", Boolean(hit));
      if (!hit) continue;
      found += 1;
      if (found > MOST_MARKS) continue;
      for (let parent = line.closest("details"); parent; parent = parent.parentElement.closest("details")) parent.open = true;
    }
    count.textContent = wanted ? interpolate(ngettext("%s match", "%s matches", found), [found]) : "";
    if (found) root.querySelector(".is-hit").scrollIntoView({ block: "nearest" });
  }

  search.addEventListener("input", find, { signal });
  element.querySelector("[data-tree-open]").addEventListener(
    "click",
    () => {
      for (const details of root.querySelectorAll("details")) details.open = true;
    },
    { signal },
  );
  element.querySelector("[data-tree-close]").addEventListener(
    "click",
    () => {
      for (const details of root.querySelectorAll("details")) details.open = false;
    },
    { signal },
  );
  return () => abort.abort();
}
