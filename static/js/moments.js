// Fields for a moment: shown and taken in the reader's own time, sent as the same moment everywhere.
//
// Without this script such a field is read as UTC, which is what the server writes into it.

import { element } from "./elements.js";
import { inOwnZone, zoneName } from "./time.js";

function own(milliseconds) {
  return inOwnZone(milliseconds).slice(0, 19).replace(" ", "T");
}

// A page that the back button brought is as it was left, without what this script had heard.
function beside(field) {
  if (!field.name) {
    return field.nextElementSibling;
  }
  const sent = element("input", { type: "hidden", name: field.name });
  field.removeAttribute("name");
  field.after(sent);
  return sent;
}

export function mount(form) {
  for (const field of form.querySelectorAll("input[data-moment]")) {
    const sent = beside(field);
    const moment = Date.parse(`${field.getAttribute("value")}Z`);
    if (!Number.isNaN(moment)) {
      field.value = own(moment);
    }
    const take = () => {
      const chosen = Date.parse(field.value); // without a zone, it is the reader's
      sent.value = Number.isNaN(chosen) ? "" : new Date(chosen).toISOString();
    };
    take();
    field.title = interpolate(gettext("In your time zone: %s"), [zoneName()]);
    field.addEventListener("input", take);
  }
}
