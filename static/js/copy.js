// Buttons that copy: data-copy holds the text, data-copy-from the id of the element that has it.

import { announce } from "./announce.js";
import { toast } from "./toast.js";

/** Copy a text and say so. Returns whether the browser let us. */
export async function copyText(text) {
  try {
    await writeText(text);
  } catch {
    toast({
      level: "warning",
      title: gettext("Your browser does not let this page use the clipboard"),
      next: gettext("Select the text and press Ctrl+C."),
    });
    return false;
  }
  announce(gettext("Copied"));
  return true;
}

async function copy(button) {
  const source = button.dataset.copyFrom ? document.getElementById(button.dataset.copyFrom) : null;
  if (!(await copyText(source ? (source.value ?? source.textContent) : button.dataset.copy))) {
    return;
  }
  button.dataset.copied = "";
  setTimeout(() => delete button.dataset.copied, 1500);
}

// Without TLS on another machine browsers hide the clipboard, but still copy what is selected.
async function writeText(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "sr-only";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) {
    throw new Error("copy refused");
  }
}

/** Wire up every copy button. */
export function startCopy() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy], [data-copy-from]");
    if (button) {
      copy(button);
    }
  });
}
