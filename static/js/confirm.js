// Questions before something is lost, and dialogs whose content comes from the server.

import { element } from "./elements.js";
import { icon } from "./icons.js";
import { swapped } from "./swaps.js";
import { toast } from "./toast.js";

const confirmed = new WeakSet();
const answers = new WeakMap();
const submitters = new WeakMap();
// What was not done because the console asks first who it is.
let held = null;

function dialogFrame(attributes, ...children) {
  const close = element(
    "button",
    {
      type: "button",
      class: "btn dialog-close",
      "data-variant": "ghost",
      "data-size": "icon-sm",
      "data-dialog-close": true,
      "aria-label": gettext("Close"),
    },
    icon("x"),
  );
  const dialog = element("dialog", { class: "dialog", ...attributes }, element("div", {}, ...children, close));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  return dialog;
}

// Ask, then do what was asked for: click again, or send the form.
function ask(source, proceed) {
  const { confirm, confirmText, confirmAction, confirmName, confirmUrl } = source.dataset;
  const dangerous = "confirmDanger" in source.dataset;
  const body = element("section", {});
  const go = element("button", {
    type: "submit",
    class: "btn",
    "data-variant": dangerous ? "destructive" : "primary",
    text: confirmAction || gettext("Continue"),
  });
  const cancel = element("button", {
    type: "button",
    class: "btn",
    "data-variant": "outline",
    "data-dialog-close": true,
    text: gettext("Cancel"),
  });
  const form = element("form", { class: "form", "hx-boost": "false" }, body);
  if (confirmName) {
    body.append(nameField(confirmName, go));
  }
  form.append(element("footer", { class: "dialog-actions" }, cancel, go));
  const dialog = dialogFrame(
    { "aria-labelledby": "confirm-title", "aria-describedby": confirmText ? "confirm-text" : null, role: "alertdialog" },
    element(
      "header",
      {},
      element("h2", { id: "confirm-title", text: confirm }),
      confirmText ? element("p", { id: "confirm-text", text: confirmText }) : null,
    ),
    form,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = new FormData(form);
    dialog.close();
    proceed(given);
  });
  dialog.showModal();
  if (confirmUrl) {
    fillBody(body, confirmUrl);
  }
  (body.querySelector("input") ?? (dangerous ? cancel : go)).focus();
}

function nameField(name, go) {
  const input = element("input", {
    class: "input",
    type: "text",
    name: "confirmation",
    id: "confirm-name",
    autocomplete: "off",
    spellcheck: "false",
  });
  go.disabled = true;
  input.addEventListener("input", () => {
    go.disabled = input.value !== name;
  });
  const label = element("label", { for: "confirm-name" });
  const [before, after = ""] = gettext("Type %s to go on").split("%s");
  label.append(before, element("code", { class: "mono", text: name }), after);
  return element("div", { class: "form-field" }, label, input);
}

async function fillBody(body, url) {
  const place = element("div", { class: "stack" });
  place.append(element("div", { class: "skeleton-lines" }, element("span"), element("span")));
  body.prepend(place);
  await htmx.ajax("GET", url, { target: place, swap: "innerHTML" });
}

function isSubmitter(source) {
  return (
    source.form &&
    source.type === "submit" &&
    !["hx-get", "hx-post", "hx-delete", "hx-put", "hx-patch"].some((name) => source.hasAttribute(name))
  );
}

function stop(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}

function onClick(event) {
  const source = event.target.closest?.("[data-confirm]");
  if (!source || source.matches("form") || isSubmitter(source)) {
    return;
  }
  if (confirmed.delete(source)) {
    return;
  }
  stop(event);
  ask(source, (given) => {
    answers.set(source, given);
    confirmed.add(source);
    source.click();
  });
}

function onSubmit(event) {
  const form = event.target;
  submitters.set(form, event.submitter);
  const source = [event.submitter, form].find((candidate) => candidate?.hasAttribute("data-confirm"));
  if (!source || confirmed.delete(form)) {
    return;
  }
  stop(event);
  const submitter = event.submitter;
  ask(source, (given) => {
    form.querySelectorAll("[data-confirm-answer]").forEach((input) => input.remove());
    for (const [name, value] of given) {
      form.append(element("input", { type: "hidden", name, value, "data-confirm-answer": true }));
    }
    confirmed.add(form);
    if (submitter?.isConnected) {
      form.requestSubmit(submitter);
    } else {
      form.requestSubmit();
    }
  });
}

function onConfigRequest(event) {
  const given = answers.get(event.detail.elt);
  if (given) {
    answers.delete(event.detail.elt);
    for (const [name, value] of given) {
      event.detail.parameters[name] = value;
    }
  }
}

async function openRemote(url, { id = "remote-dialog", size = null, label = "" } = {}) {
  const body = element("section", { class: "dialog-body" });
  body.append(element("div", { class: "skeleton-lines" }, element("span"), element("span"), element("span")));
  const dialog = dialogFrame({ id, "data-size": size, "aria-label": label }, body);
  dialog.showModal();
  let failed = false;
  const note = () => {
    failed = true;
  };
  body.addEventListener("htmx:responseError", note);
  body.addEventListener("htmx:sendError", note);
  await htmx.ajax("GET", url, { source: body, target: body, swap: "innerHTML" });
  if (failed) {
    dialog.close();
    return;
  }
  settle(dialog);
  // Its content may give way to other content: the question who it is, to the form that was asked for.
  body.addEventListener("htmx:afterSettle", () => settle(dialog));
  swapped(body);
}

function settle(dialog) {
  const title = dialog.querySelector("[data-dialog-title]");
  if (title) {
    title.id ||= `${dialog.id}-title`;
    dialog.removeAttribute("aria-label");
    dialog.setAttribute("aria-labelledby", title.id);
  }
  dialog.querySelector("[aria-invalid=true], [autofocus], input:not([type=hidden]), select, textarea")?.focus();
}

function closeRemote() {
  document.getElementById("remote-dialog")?.close();
}

// The console asks first who it is. The page stays as it is meanwhile, with all that was typed.
function onIdentityNeeded(event) {
  held = { source: event.target, submitter: submitters.get(event.target) };
  openRemote(event.detail.url, { id: "identity-dialog", label: gettext("Confirm that it is you") });
}

// Being asked is no failure.
function onBeforeSwap(event) {
  if (event.detail.xhr.getResponseHeader("HX-Trigger")?.includes("identity:needed")) {
    event.detail.shouldSwap = false;
    event.detail.isError = false;
  }
}

function onIdentityConfirmed() {
  document.getElementById("identity-dialog")?.close();
  const { source, submitter } = held ?? {};
  held = null;
  if (!source?.isConnected) {
    toast({ level: "info", title: gettext("Thank you. Now do it again.") });
    return;
  }
  // It was asked whether to do it already, unless more than a yes was asked for.
  if (!source.dataset.confirmName && !source.dataset.confirmUrl) {
    confirmed.add(source);
  }
  if (source.matches("form")) {
    source.requestSubmit(submitter?.isConnected ? submitter : undefined);
  } else {
    source.click();
  }
}

/** Wire up data-confirm, data-dialog-url, data-dialog and data-dialog-close. */
export function startDialogs() {
  document.addEventListener("click", onClick, true);
  document.addEventListener("submit", onSubmit, true);
  document.addEventListener("htmx:configRequest", onConfigRequest);
  document.addEventListener("click", (event) => {
    const source = event.target.closest("[data-dialog-url], [data-dialog], [data-dialog-close]");
    if (!source) {
      // A click beside the box, on the darkened page.
      if (event.target instanceof HTMLDialogElement && event.target.matches(".dialog, .palette")) {
        event.target.close();
      }
      return;
    }
    event.preventDefault();
    if ("dialogClose" in source.dataset) {
      source.closest("dialog")?.close();
    } else if (source.dataset.dialog) {
      document.getElementById(source.dataset.dialog)?.showModal();
    } else {
      const { dialogUrl, dialogSize } = source.dataset;
      openRemote(dialogUrl, { size: dialogSize ?? null, label: source.textContent.trim() });
    }
  });
  document.addEventListener("dialog:close", closeRemote);
  document.addEventListener("htmx:beforeSwap", onBeforeSwap);
  document.addEventListener("identity:needed", onIdentityNeeded);
  document.addEventListener("identity:confirmed", onIdentityConfirmed);
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id === "main") {
      closeRemote();
    }
  });
}
