// Choosing what to run: a command and a user.

import { element } from "./elements.js";

/** A form that calls `run({command, user})`. */
export function chooser({ command, user }, run) {
  const field = (name, value, label, placeholder) =>
    element("input", {
      class: "input",
      name,
      value: value ?? "",
      placeholder,
      "aria-label": label,
      spellcheck: "false",
      autocomplete: "off",
    });
  const commandField = field("command", command, gettext("Command"), gettext("Command, as in /bin/ash -l"));
  const userField = field("user", user, gettext("User"), gettext("User"));
  return element(
    "form",
    {
      class: "stream-chooser",
      "hx-boost": "false",
      on: {
        submit: (event) => {
          event.preventDefault();
          run({ command: commandField.value.trim(), user: userField.value.trim() });
        },
      },
    },
    commandField,
    userField,
    element("button", { class: "btn", "data-size": "xs", type: "submit", text: gettext("Open") }),
  );
}
