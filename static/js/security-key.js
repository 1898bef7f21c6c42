// Security keys: asks the browser for a key's answer and puts it into the form, which sends it like anything else.

import { csrfToken } from "./elements.js";

const toBytes = (text) => {
  const padded = text.replace(/-/g, "+").replace(/_/g, "/");
  return Uint8Array.from(atob(padded), (letter) => letter.charCodeAt(0));
};

const toText = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-")
    .replace(/\//g, "_")
    .replace(/=+$/, "");

class Refused extends Error {}

async function fetchOptions(url) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { Accept: "application/json", "X-CSRFToken": csrfToken() },
  });
  if (!(answer.headers.get("Content-Type") ?? "").includes("json")) {
    throw new Refused(gettext("This page is too old. Reload it and try again."));
  }
  const said = await answer.json();
  if (!answer.ok) {
    throw new Refused([said.message, said.next_step].filter(Boolean).join(" "));
  }
  const options = said.publicKey;
  options.challenge = toBytes(options.challenge);
  for (const key of [...(options.allowCredentials ?? []), ...(options.excludeCredentials ?? [])]) {
    key.id = toBytes(key.id);
  }
  if (options.user) {
    options.user.id = toBytes(options.user.id);
  }
  return options;
}

// What the server reads, as PublicKeyCredential.toJSON() would write it: not every browser has that yet.
function write(credential) {
  const { response } = credential;
  const parts = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (response[name]) {
      parts[name] = toText(response[name]);
    }
  }
  const id = toText(credential.rawId);
  return JSON.stringify({ id, rawId: id, type: credential.type, response: parts, clientExtensionResults: {} });
}

function explain(error) {
  if (error instanceof Refused) {
    return error.message;
  }
  const said = {
    NotAllowedError: gettext("The key did not answer, or you cancelled. Try again."),
    InvalidStateError: gettext("This key is one of yours already."),
    SecurityError: gettext("Your browser uses no security keys at this address."),
  };
  return said[error.name] ?? gettext("Asking the key failed. Check your connection and try again.");
}

/** Let the button in `form` ask a key: a new one with data-key-new, else one of those that the person has. */
export function mount(form) {
  const button = form.querySelector("[data-key-ask]");
  const said = form.querySelector("[data-key-said]");
  if (!button || !said) {
    return null;
  }
  const isNew = "keyNew" in form.dataset;
  const gone = new AbortController();
  const credential = form.elements.credential;

  const say = (text) => {
    said.textContent = text;
    said.hidden = !text;
  };

  if (!window.PublicKeyCredential) {
    say(gettext("Your browser uses no security keys at this address."));
    return null;
  }
  button.hidden = false;

  async function ask(event) {
    if (isNew && (credential.value || !form.elements.name.value.trim())) {
      return; // the form is sent: with the answer, or to be told that a name is missing
    }
    event.preventDefault();
    say("");
    button.disabled = true;
    try {
      const publicKey = await fetchOptions(form.dataset.keyUrl);
      const request = { publicKey, signal: gone.signal };
      const answer = await (isNew ? navigator.credentials.create(request) : navigator.credentials.get(request));
      credential.value = write(answer);
      button.disabled = false;
      form.requestSubmit();
    } catch (error) {
      button.disabled = false;
      if (!gone.signal.aborted) {
        say(explain(error));
      }
    }
  }

  button.addEventListener("click", ask);
  return () => gone.abort();
}
