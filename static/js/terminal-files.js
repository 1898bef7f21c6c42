// Files into the container of a terminal and out of it, from the folder that its shell stands in.

import { announce } from "./announce.js";
import { csrfToken, element } from "./elements.js";
import { button, opener } from "./terminal-parts.js";

const KIB = 1024;

/** What went wrong with a file, in words for the person. */
class Trouble extends Error {
  constructor(message, { code = "", next = "" } = {}) {
    super(message);
    this.code = code;
    this.next = next;
  }
}

/** A size as limits are typed and read, the same as the server's (`size_text` in console/lib/amounts.py). */
function sizeText(bytes) {
  const units = ["B", "KB", "MB", "GB"];
  let at = 0;
  let size = bytes;
  while (size >= KIB && at < units.length - 1) {
    size /= KIB;
    at += 1;
  }
  return `${size >= 10 || Number.isInteger(size) ? Math.round(size) : size.toFixed(1)} ${units[at]}`;
}

const join = (folder, name) => (folder.endsWith("/") ? folder + name : `${folder}/${name}`);

function troubleOf(status, said) {
  if (status === 401 || said === null) {
    return new Trouble(gettext("You are signed out. Sign in again, in another tab, to go on."));
  }
  const cause = said.errors ? Object.values(said.errors).join(" ") : said.message;
  return new Trouble(cause || gettext("The console refused this."), { code: said.code, next: said.next_step ?? "" });
}

/** Return the console's answer, or throw `Trouble`. */
async function ask(path, fields) {
  let answer;
  try {
    answer = await fetch(`${path}?${new URLSearchParams(fields)}`, { headers: { Accept: "application/json" } });
  } catch {
    throw new Trouble(gettext("The console cannot be reached."), { next: gettext("Try again when the network is back.") });
  }
  const said = answer.redirected ? null : await answer.json().catch(() => ({}));
  if (!answer.ok || said === null) {
    throw troubleOf(answer.status, said);
  }
  return said;
}

/** One file on its way into the container: a line with what becomes of it. */
class Upload {
  constructor(file, folder) {
    this.file = file;
    this.folder = folder;
    this.request = null;
    this.isGivenUp = false;
    this.meter = element("span");
    this.bar = element(
      "div",
      {
        class: "progress-bar",
        role: "progressbar",
        "aria-valuemin": "0",
        "aria-valuemax": "100",
        "aria-valuenow": "0",
        "aria-label": file.name,
        hidden: true,
      },
      this.meter,
    );
    this.state = element("span", { class: "muted small num", text: gettext("Waiting") });
    this.detail = element("p", { class: "terminal-file-trouble small", hidden: true });
    this.acts = element("div", { class: "row terminal-tools" });
    this.stop = button(gettext("Cancel"), () => this.giveUp(), { name: "stop" });
    this.root = element(
      "li",
      {},
      element("span", { class: "truncate terminal-file-name", text: file.name, title: join(folder, file.name) }),
      this.state,
      this.stop,
      this.bar,
      this.detail,
      this.acts,
    );
  }

  giveUp() {
    this.isGivenUp = true;
    this.request?.abort();
    this.answer?.(false);
    this.end("cancelled", gettext("Cancelled"));
  }

  end(state, words) {
    this.root.dataset.state = state;
    this.state.textContent = words;
    this.bar.dataset.tone = state === "done" ? "success" : "danger";
    this.bar.hidden = state !== "done";
    this.stop.remove();
    this.acts.replaceChildren();
  }

  fail(trouble) {
    this.end("failed", gettext("Failed"));
    this.detail.textContent = [trouble.message, trouble.next].filter(Boolean).join(" ");
    this.detail.hidden = false;
    announce(`${this.file.name}: ${trouble.message}`);
  }

  show(sent) {
    this.bar.hidden = false;
    const part = this.file.size ? sent / this.file.size : 1;
    this.meter.style.width = `${100 * part}%`;
    this.bar.setAttribute("aria-valuenow", String(Math.round(100 * part)));
    this.state.textContent = interpolate(gettext("%(sent)s of %(all)s"), { sent: sizeText(sent), all: sizeText(this.file.size) }, true);
  }

  /** Ask whether what is there may go; false is no. */
  mayReplace() {
    const act = (name, label, value) => button(label, () => this.answer(value), { name, variant: "outline" });
    this.state.textContent = gettext("Exists already");
    this.detail.textContent = interpolate(gettext("%s exists already."), [join(this.folder, this.file.name)]);
    this.detail.hidden = false;
    this.acts.replaceChildren(act("replace", gettext("Replace"), true), act("skip", gettext("Skip"), false));
    announce(this.detail.textContent);
    return new Promise((resolve) => {
      this.answer = (value) => {
        this.answer = null;
        this.detail.hidden = true;
        this.acts.replaceChildren();
        resolve(value);
      };
    });
  }

  /** Send the file; the browser reads it from its disk while it goes. */
  send(fields) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      this.request = request;
      request.open("POST", `/terminals/files/upload/?${new URLSearchParams(fields)}`);
      request.setRequestHeader("X-CSRFToken", csrfToken());
      request.setRequestHeader("Accept", "application/json");
      request.setRequestHeader("Content-Type", "application/octet-stream");
      request.upload.addEventListener("progress", (event) => this.show(event.loaded));
      request.addEventListener("load", () => {
        let said = {};
        try {
          said = JSON.parse(request.responseText);
        } catch {
          said = request.status < 300 ? null : {};
        }
        if (request.status === 201) {
          resolve();
        } else {
          reject(troubleOf(request.status, said));
        }
      });
      request.addEventListener("error", () =>
        reject(new Trouble(gettext("The connection to the console was lost."), { next: gettext("Try again when the network is back.") })),
      );
      request.addEventListener("abort", () => reject(new Trouble(gettext("Cancelled"))));
      this.show(0);
      request.send(this.file);
    });
  }
}

class Files {
  constructor(view) {
    this.view = view;
    this.limit = null;
    this.waiting = [];
    this.placed = null; // once it is known where dropped files go
    this.isBusy = false;
    this.folder = this.field("folder");
    this.path = this.field("path");
    this.chooser = element("input", {
      type: "file",
      multiple: true,
      hidden: true,
      on: {
        change: () => {
          this.upload([...this.chooser.files]);
          this.chooser.value = "";
        },
      },
    });
    this.bounds = element("p", { class: "muted small" });
    this.trouble = element("p", { class: "stream-error small", role: "alert" });
    this.list = element("ul", { class: "terminal-files", "aria-label": gettext("Uploads") });
    this.button = opener("files", gettext("Files"), { name: "files" });
    this.panel = element(
      "div",
      { class: "popover terminal-popover", popover: "auto", role: "dialog", "aria-label": gettext("Files") },
      element("div", { class: "popover-head", text: gettext("Files") }),
      element(
        "form",
        { class: "terminal-files-form", "hx-boost": "false", on: { submit: (event) => this.choose(event) } },
        element("label", {}, gettext("Folder to upload into"), this.folder),
        element("button", { class: "btn", "data-size": "sm", "data-name": "upload", type: "submit", text: gettext("Choose files…") }),
        this.chooser,
        this.bounds,
      ),
      this.list,
      element(
        "form",
        { class: "terminal-files-form", "hx-boost": "false", on: { submit: (event) => this.download(event) } },
        element("label", {}, gettext("File or folder to download"), this.path),
        element("button", {
          class: "btn",
          "data-variant": "outline",
          "data-size": "sm",
          "data-name": "download",
          type: "submit",
          text: gettext("Download"),
        }),
      ),
      this.trouble,
    );
    this.panel.addEventListener("toggle", ({ newState }) => newState === "open" && this.refresh());
    this.curtain = element("div", { class: "terminal-drop", hidden: true, "aria-hidden": "true" });
    // The view puts its root together after its bar.
    queueMicrotask(() => this.listen());
  }

  field(name) {
    return element("input", {
      class: "input mono",
      name,
      required: true,
      value: "/",
      spellcheck: "false",
      autocomplete: "off",
      autocapitalize: "off",
    });
  }

  /** What every request says: the container, and the person's own terminal in it. */
  target() {
    const { host, container } = this.view.params;
    const mine = this.view.owns && this.view.session;
    return mine ? { host, container, session: this.view.session } : { host, container };
  }

  // The shell may have gone elsewhere since; what a person has typed here stays, unless files are dropped on the shell.
  async refresh({ follows = false } = {}) {
    this.trouble.textContent = "";
    this.list.querySelectorAll('[data-state="done"], [data-state="cancelled"]').forEach((line) => line.remove());
    if (!this.view.owns || !this.view.session) {
      return;
    }
    try {
      const place = await ask("/terminals/files/place/", { session: this.view.session });
      this.limit = place.upload_limit;
      for (const [input, value] of [
        [this.folder, place.folder],
        [this.path, join(place.folder, "")],
      ]) {
        if (follows || input.value === (input.dataset.offered ?? "/")) {
          input.value = value;
        }
        input.dataset.offered = value;
      }
      this.bounds.textContent = interpolate(
        gettext("Up to %s a file. You can also drop files on the terminal."),
        [sizeText(this.limit)],
      );
    } catch (problem) {
      this.complain(problem);
    }
  }

  complain(problem) {
    if (!(problem instanceof Trouble)) {
      throw problem;
    }
    this.trouble.textContent = [problem.message, problem.next].filter(Boolean).join(" ");
  }

  choose(event) {
    event.preventDefault();
    this.chooser.click();
  }

  // Uploads

  upload(files) {
    const folder = this.folder.value;
    for (const file of files) {
      const upload = new Upload(file, folder);
      this.list.append(upload.root);
      this.waiting.push(upload);
    }
    this.work();
  }

  // One after another: together they would only take each other's room on the line.
  async work() {
    if (this.isBusy) {
      return;
    }
    this.isBusy = true;
    this.button.dataset.busy = "true";
    for (let upload = this.waiting.shift(); upload; upload = this.waiting.shift()) {
      if (!upload.isGivenUp) {
        await this.put(upload);
      }
    }
    this.isBusy = false;
    delete this.button.dataset.busy;
  }

  async put(upload) {
    const { file, folder } = upload;
    try {
      if (this.limit !== null && file.size > this.limit) {
        throw new Trouble(
          interpolate(gettext("The file is too large: at most %s may be put into a container at once."), [sizeText(this.limit)]),
        );
      }
      const there = await this.look(join(folder, file.name));
      if (there && !(await upload.mayReplace())) {
        if (!upload.isGivenUp) {
          upload.end("cancelled", gettext("Skipped"));
        }
        return;
      }
      // Its folder is asked for before its bytes are on their way.
      if (!there) {
        await ask("/terminals/files/about/", { ...this.target(), path: folder });
      }
      const overwrite = there ? { overwrite: "1" } : {};
      await upload.send({ ...this.target(), folder, name: file.name, ...overwrite });
      upload.show(file.size);
      upload.end("done", interpolate(gettext("%s uploaded"), [sizeText(file.size)]));
      announce(interpolate(gettext("%(name)s is in %(folder)s now."), { name: file.name, folder }, true));
    } catch (problem) {
      if (!(problem instanceof Trouble)) {
        throw problem;
      }
      if (!upload.isGivenUp) {
        upload.fail(problem);
      }
    }
  }

  /** What is at a path, or null. */
  async look(path) {
    try {
      return await ask("/terminals/files/about/", { ...this.target(), path });
    } catch (problem) {
      if (problem instanceof Trouble && problem.code === "path_missing") {
        return null;
      }
      throw problem;
    }
  }

  // Downloads

  async download(event) {
    event.preventDefault();
    this.trouble.textContent = "";
    const path = this.path.value.length > 1 ? this.path.value.replace(/\/+$/, "") : this.path.value;
    const start = event.submitter;
    start.disabled = true;
    try {
      // What is wrong is said here: the answer itself would take the place of the page.
      await ask("/terminals/files/about/", { ...this.target(), path });
      const fields = { ...this.target(), path, csrfmiddlewaretoken: csrfToken() };
      const form = element(
        "form",
        { method: "post", action: "/terminals/files/download/", hidden: true },
        ...Object.entries(fields).map(([name, value]) => element("input", { type: "hidden", name, value })),
      );
      document.body.append(form);
      form.submit();
      form.remove();
      announce(interpolate(gettext("The download of %s begins."), [path]));
    } catch (problem) {
      this.complain(problem);
    } finally {
      start.disabled = false;
    }
  }

  // Files dropped on the terminal

  listen() {
    const { root } = this.view;
    root.append(this.curtain);
    const brings = (event) => Boolean(event.dataTransfer?.types.includes("Files"));
    let inside = 0;
    const show = (isShown) => {
      this.curtain.hidden = !isShown;
      this.curtain.textContent = interpolate(gettext("Drop files to put them into %s"), [this.folder.value]);
    };
    root.addEventListener("dragenter", (event) => {
      if (brings(event)) {
        event.preventDefault();
        inside += 1;
        if (inside === 1) {
          this.placed = this.refresh({ follows: true });
          this.placed.then(() => show(inside > 0));
        }
      }
    });
    root.addEventListener("dragover", (event) => {
      if (brings(event)) {
        event.preventDefault();
        event.dataTransfer.dropEffect = "copy";
      }
    });
    root.addEventListener("dragleave", (event) => {
      if (brings(event)) {
        inside = Math.max(0, inside - 1);
        show(inside > 0);
      }
    });
    root.addEventListener("drop", async (event) => {
      if (!brings(event)) {
        return;
      }
      event.preventDefault();
      inside = 0;
      show(false);
      const items = [...event.dataTransfer.items];
      const folders = items.filter((item) => item.webkitGetAsEntry?.()?.isDirectory).length;
      const files = items
        .filter((item) => item.kind === "file" && !item.webkitGetAsEntry?.()?.isDirectory)
        .map((item) => item.getAsFile());
      if (!this.panel.matches(":popover-open")) {
        this.button.click();
      }
      await this.placed;
      this.upload(files.filter(Boolean));
      if (folders) {
        this.trouble.textContent = gettext("Folders are not uploaded: pack them into one file first.");
      }
    });
  }
}

/** The button for files and its popover, for the bar of a terminal whose container is known. */
export function filesMenu(view) {
  const files = new Files(view);
  return [files.button, files.panel];
}
