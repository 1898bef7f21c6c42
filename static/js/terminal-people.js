// Who is at a terminal, and what its owner may do about that.

import { csrfToken, element } from "./elements.js";
import { button, opener } from "./terminal-parts.js";
import { toast } from "./toast.js";

/** Milliseconds for which somebody who typed is shown as typing. */
const TYPING = 2500;

let numbered = 0;

async function speak(session, path, fields = null) {
  const answer = await fetch(`/terminals/${session}/${path}/`, {
    method: fields ? "POST" : "GET",
    body: fields ? new URLSearchParams(fields) : undefined,
    headers: { "X-CSRFToken": csrfToken(), Accept: "application/json", ...(fields ? { "HX-Request": "true" } : {}) },
  });
  if (!answer.ok || answer.redirected) {
    const said = await answer.json().catch(() => ({}));
    throw new Error(said.message || gettext("The console refused this."));
  }
  return answer;
}

/** Return what the console says about a terminal. Throws in words. */
async function ask(session, path) {
  return (await speak(session, path)).json();
}

/** Have the console do something to a terminal, and show what it says. Throws in words. */
async function order(session, path, fields) {
  const answer = await speak(session, path, fields);
  const { toasts } = JSON.parse(answer.headers.get("HX-Trigger") ?? "{}");
  if (toasts) {
    document.dispatchEvent(new CustomEvent("toasts", { detail: toasts }));
  }
}

export class People {
  /** `view` has session, viewer, owns and end(). */
  constructor(view) {
    this.view = view;
    this.viewers = [];
    this.known = []; // whom it could be shared with
    this.typedAt = new Map();
    this.count = element("span", { class: "num" });
    this.button = opener("people", gettext("People"), { name: "people" });
    this.button.append(this.count);
    this.list = element("ul", { class: "terminal-people" });
    this.form = this.shareForm();
    this.panel = element(
      "div",
      { class: "popover terminal-popover", popover: "auto", role: "dialog", "aria-label": gettext("People") },
      element("div", { class: "popover-head", text: gettext("At this terminal") }),
      this.list,
      this.form,
    );
    this.panel.addEventListener("toggle", ({ newState }) => newState === "open" && this.load());
    this.show();
  }

  shareForm() {
    numbered += 1;
    const id = `terminal-people-${numbered}`;
    this.suggestions = element("datalist", { id });
    this.field = element("input", {
      class: "input",
      list: id,
      autocomplete: "off",
      spellcheck: "false",
      placeholder: gettext("Name of a person"),
      "aria-label": gettext("Share with"),
      on: { input: () => this.checkRight() },
    });
    this.right = element(
      "select",
      { class: "select", "aria-label": gettext("What they may do") },
      element("option", { value: "watch", text: gettext("watches") }),
      element("option", { value: "type", text: gettext("types") }),
    );
    this.problem = element("p", { class: "stream-error small", role: "alert" });
    return element(
      "form",
      {
        class: "terminal-share",
        "hx-boost": "false",
        hidden: true,
        on: {
          submit: (event) => {
            event.preventDefault();
            this.share();
          },
        },
      },
      element("strong", { class: "small", text: gettext("Share with") }),
      element(
        "div",
        { class: "row" },
        this.field,
        this.right,
        element("button", { class: "btn", type: "submit", "data-size": "sm", text: gettext("Share") }),
      ),
      this.suggestions,
      this.problem,
    );
  }

  /** Whether a viewer is this tab; others know it by a name that begins with the person's. */
  isMine({ id }) {
    return id === `${document.body.dataset.person}.${this.view.viewer}`;
  }

  /** Whether another tab is here, somebody else's or one of the same person. */
  get hasCompany() {
    return this.viewers.length > 1;
  }

  /** Whether answers to what a program asks of its terminal come from this viewer: from the first who types. */
  get answers() {
    const first = this.viewers.find(({ types }) => types);
    return !first || this.isMine(first);
  }

  update(viewers) {
    const now = Date.now();
    for (const { id, typed } of viewers) {
      if (typed !== null && typed !== undefined) {
        this.typedAt.set(id, now - typed * 1000);
      }
    }
    this.viewers = viewers;
    this.show();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.show(), TYPING);
  }

  clear() {
    clearTimeout(this.timer);
    this.viewers = [];
    this.show();
  }

  show() {
    const persons = this.persons();
    this.count.textContent = persons.length > 1 ? String(persons.length) : "";
    const names = persons.map(({ name }) => name).join(", ");
    const label = persons.length > 1 ? interpolate(gettext("People: %s"), [names]) : gettext("People");
    this.button.setAttribute("aria-label", label);
    this.button.title = label;
    this.button.dataset.typing = String(persons.some(({ isMe, isTyping }) => isTyping && !isMe));
    this.form.hidden = !this.view.owns;
    // A button that has the focus must not vanish under it.
    const held = document.activeElement;
    const place = this.list.contains(held) ? [held.closest("li")?.dataset.person, held.dataset.name] : null;
    this.list.replaceChildren(...persons.map((person) => this.row(person)), ...this.guests(persons).map((guest) => this.guestRow(guest)));
    if (persons.length === 0) {
      this.list.append(element("li", { class: "muted", text: gettext("Nobody") }));
    }
    if (place) {
      const again = [...this.list.querySelectorAll("[data-name]")].find(
        (one) => one.dataset.name === place[1] && one.closest("li").dataset.person === place[0],
      );
      (again ?? this.panel.querySelector("input:not([hidden])"))?.focus();
    }
  }

  // One person may be here with several tabs.
  persons() {
    const found = new Map();
    for (const viewer of this.viewers) {
      const isTyping = Date.now() - (this.typedAt.get(viewer.id) ?? 0) < TYPING;
      const before = found.get(viewer.person);
      found.set(viewer.person, {
        ...viewer,
        isMe: viewer.person === document.body.dataset.person,
        isTyping: isTyping || Boolean(before?.isTyping),
        tabs: (before?.tabs ?? 0) + 1,
      });
    }
    return [...found.values()];
  }

  // Whom it is shared with and who is not here now.
  guests(persons) {
    const here = new Set(persons.map(({ person }) => person));
    return this.view.owns ? this.known.filter(({ id, shared }) => shared && !here.has(id)) : [];
  }

  row(person) {
    const what = person.owns ? gettext("owner") : person.types ? gettext("types") : gettext("watches");
    const name = person.isMe ? interpolate(gettext("%s (you)"), [person.name]) : person.name;
    const tabs = person.tabs > 1 ? interpolate(ngettext("%s tab", "%s tabs", person.tabs), [person.tabs]) : null;
    return element(
      "li",
      { "data-person": person.person },
      element("span", {
        class: "terminal-typing",
        "data-typing": String(person.isTyping),
        title: person.isTyping ? gettext("Typing now") : null,
      }),
      element("span", { class: "truncate terminal-name", text: name }),
      element("span", { class: "muted small", text: [what, tabs, person.isTyping ? gettext("typing") : null].filter(Boolean).join(" · ") }),
      this.view.owns && !person.isMe && !person.owns ? this.tools(person.person, person.types) : null,
    );
  }

  guestRow({ id, name, shared }) {
    return element(
      "li",
      { "data-person": id, class: "is-away" },
      element("span", { class: "terminal-typing" }),
      element("span", { class: "truncate terminal-name", text: name }),
      element("span", { class: "muted small", text: gettext("not here") }),
      this.tools(id, shared === "types"),
    );
  }

  tools(person, types) {
    const tool = (label, name, run) => button(label, () => this.run(run), { name, variant: "outline" });
    // Who oversees terminals is here without a share, and is not put out.
    const { may_type: mayType = false, shared = null } = this.known.find(({ id }) => id === person) ?? {};
    return element(
      "span",
      { class: "row terminal-tools" },
      types && shared
        ? tool(gettext("Only watch"), "toggle", () => this.order("share", { person, role: "watch" }))
        : mayType && !types
          ? tool(gettext("Let type"), "toggle", () => this.order("share", { person, role: "type" }))
          : null,
      mayType ? tool(gettext("Hand over"), "hand-over", () => this.order("hand-over", { person })) : null,
      shared ? tool(gettext("Remove"), "remove", () => this.order(`share/${person}/remove`, {})) : null,
    );
  }

  order(path, fields) {
    return order(this.view.session, path, fields);
  }

  async run(work) {
    try {
      await work();
      await this.load();
    } catch (problem) {
      toast({ level: "error", title: gettext("That did not work"), detail: problem.message });
    }
  }

  async load() {
    if (!this.view.owns || !this.view.session) {
      return;
    }
    try {
      this.known = await ask(this.view.session, "people");
    } catch (problem) {
      this.problem.textContent = problem.message;
      return;
    }
    this.suggestions.replaceChildren(...this.known.map(({ name }) => element("option", { value: name })));
    this.show();
  }

  chosen() {
    const name = this.field.value.trim().toLowerCase();
    return this.known.find((person) => person.name.toLowerCase() === name) ?? null;
  }

  // Who may only read logs there cannot be let type.
  checkRight() {
    const mayType = this.chosen()?.may_type ?? true;
    this.right.options[1].disabled = !mayType;
    if (!mayType) {
      this.right.value = "watch";
    }
  }

  async share() {
    if (!this.chosen()) {
      await this.load(); // who is quick is here before the names are
    }
    const person = this.chosen();
    if (!person) {
      this.problem.textContent = gettext("Choose somebody who may see this container.");
      return;
    }
    this.problem.textContent = "";
    try {
      await this.order("share", { person: person.id, role: this.right.value });
    } catch (problem) {
      this.problem.textContent = problem.message;
      return;
    }
    this.field.value = "";
    await this.load();
  }
}
