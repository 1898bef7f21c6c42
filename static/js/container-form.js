// The create form: more rows, pasted variables, and a summary that follows the typing. Without it the form still works.

const PREVIEW_DELAY = 350;

function copyOf(row) {
  const copy = row.cloneNode(true);
  copy.removeAttribute("data-invalid");
  for (const error of copy.querySelectorAll(".row-error")) error.remove();
  for (const input of copy.querySelectorAll("input")) {
    input.value = "";
    if (input.name === "env_value" || input.name === "label_value") input.removeAttribute("placeholder");
  }
  for (const select of copy.querySelectorAll("select")) select.selectedIndex = 0;
  return copy;
}

function addRow(group) {
  const rows = group.querySelectorAll("[data-row-item]");
  const row = copyOf(rows[rows.length - 1]);
  rows[rows.length - 1].after(row);
  return row;
}

function removeRow(row) {
  const group = row.closest("[data-rows]");
  const rows = [...group.querySelectorAll("[data-row-item]")];
  const place = rows.indexOf(row);
  if (rows.length === 1) row.replaceWith(copyOf(row));
  else row.remove();
  const left = group.querySelectorAll("[data-row-item]");
  left[Math.min(place, left.length - 1)].querySelector("input").focus();
}

function variablesOf(text) {
  const found = [];
  for (const line of text.split(/\r?\n/)) {
    const entry = line.trim().replace(/^export\s+/, "");
    if (!entry || entry.startsWith("#")) continue;
    const equals = entry.indexOf("=");
    if (equals < 1) return null;
    let value = entry.slice(equals + 1).trim();
    if (value.length > 1 && value[0] === value.at(-1) && (value[0] === '"' || value[0] === "'")) value = value.slice(1, -1);
    found.push([entry.slice(0, equals).trim(), value]);
  }
  return found;
}

// Lines of KEY=VALUE pasted into a row become rows.
function pasteVariables(event, group) {
  const text = event.clipboardData ? event.clipboardData.getData("text/plain") : "";
  const target = event.target;
  const isLines = text.trim().includes("\n");
  if (!isLines && !(target.name === "env_name" && text.includes("="))) return false;
  const variables = variablesOf(text);
  if (!variables || !variables.length) return false;
  event.preventDefault();
  let row = target.closest("[data-row-item]");
  for (const [name, value] of variables) {
    const isFree = row && !row.querySelector("[name=env_name]").value && !row.querySelector("[name=env_value]").value;
    if (!isFree) {
      const free = [...group.querySelectorAll("[data-row-item]")].find(
        (other) => !other.querySelector("[name=env_name]").value && !other.querySelector("[name=env_value]").value,
      );
      row = free || addRow(group);
    }
    row.querySelector("[name=env_name]").value = name;
    row.querySelector("[name=env_value]").value = value;
    row.querySelector("[name=env_kept]").value = "";
  }
  return true;
}

export function mount(form) {
  const preview = form.querySelector("#preview");
  const abort = new AbortController();
  const { signal } = abort;
  let timer = 0;

  function refresh() {
    clearTimeout(timer);
    timer = setTimeout(() => window.htmx.trigger(preview, "refresh"), PREVIEW_DELAY);
  }

  // What depends on a choice is only there when the choice is made.
  function dependents() {
    const retries = form.querySelector("#f-restart_max_retries");
    const policy = form.querySelector("#f-restart_policy");
    retries.closest(".form-field").hidden = policy.value !== "on-failure";
    const health = form.querySelector("#f-health");
    for (const name of ["test", "interval", "timeout", "retries", "start_period"]) {
      form.querySelector(`#f-health_${name}`).closest(".form-field").hidden = health.value !== "command";
    }
  }

  // Rows are a click away: one empty one of each kind is enough.
  for (const group of form.querySelectorAll("[data-rows]")) {
    const blank = [...group.querySelectorAll("[data-row-item]")].filter((row) =>
      [...row.querySelectorAll("input")].every((input) => !input.value),
    );
    for (const row of blank.slice(1)) row.remove();
  }
  for (const button of form.querySelectorAll("[data-row-add], [data-row-remove]")) button.hidden = false;

  form.addEventListener(
    "click",
    (event) => {
      const add = event.target.closest("[data-row-add]");
      const remove = event.target.closest("[data-row-remove]");
      if (add) addRow(add.closest("[data-rows]")).querySelector("input").focus();
      if (remove) removeRow(remove.closest("[data-row-item]"));
      if (add || remove) refresh();
    },
    { signal },
  );
  form.addEventListener("input", refresh, { signal });
  form.addEventListener(
    "change",
    () => {
      dependents();
      refresh();
    },
    { signal },
  );
  form.addEventListener(
    "paste",
    (event) => {
      const group = event.target.closest("[data-paste=environment]");
      if (group && pasteVariables(event, group)) refresh();
    },
    { signal },
  );
  form.addEventListener(
    "keydown",
    (event) => {
      // Enter in a row goes to a new row; it never sends a form this long by accident.
      if (event.key !== "Enter" || event.target.tagName !== "INPUT" || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      const group = event.target.closest("[data-rows]");
      if (!group) return;
      const row = event.target.closest("[data-row-item]");
      const next = row.nextElementSibling?.matches("[data-row-item]") ? row.nextElementSibling : addRow(group);
      next.querySelector("input").focus();
    },
    { signal },
  );
  // A summary that arrives after the form has gone finds no place.
  document.addEventListener(
    "htmx:beforeSwap",
    (event) => {
      if (event.detail.target.contains(form)) window.htmx.trigger(preview, "htmx:abort");
    },
    { signal },
  );
  dependents();
  // Somebody may have begun to type before this was loaded.
  if ([...form.elements].some((input) => "defaultValue" in input && input.value !== input.defaultValue)) refresh();

  return () => {
    clearTimeout(timer);
    abort.abort();
  };
}
