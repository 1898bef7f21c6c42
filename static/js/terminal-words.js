// How a terminal ended, in words.

const endedBy = (by) => (by ? interpolate(gettext("%s ended this terminal."), [by]) : gettext("This terminal was ended."));

const REASONS = {
  closed: endedBy,
  ended_by_admin: endedBy,
  idle: () => gettext("This terminal has ended: nobody typed anything for too long."),
  age: () => gettext("This terminal has ended: it was open for as long as a terminal may be."),
  abandoned: () => gettext("This terminal has ended, because nobody came back to it."),
  unrecorded: () => gettext("This terminal has ended, because it could not be recorded."),
  engine: () => gettext("The connection to the engine was lost, and this terminal has ended."),
  lost: () => gettext("The console’s streams ended unexpectedly, and this terminal with them."),
  hub: () => gettext("The console’s streams were restarted, and this terminal has ended."),
  revoked: () => gettext("This terminal has ended, because the right to it did."),
  approval_over: (by) =>
    by
      ? interpolate(gettext("%s took the approval of this terminal back."), [by])
      : gettext("This terminal has ended: the time it was approved for is over."),
};

const DISMISSALS = {
  removed: () => [gettext("You were removed from this terminal."), gettext("It goes on without you.")],
  replaced: () => [gettext("This terminal was opened elsewhere."), gettext("It goes on there, in another tab or window.")],
  flood: () => [gettext("This tab was cut off from the terminal: it sent more than is taken."), gettext("The terminal goes on.")],
};

/** Return [what happened, what to do or know beside] for the last frame of a terminal. */
export function words(frame) {
  if (frame.type === "dismissed") {
    return (DISMISSALS[frame.reason] ?? DISMISSALS.removed)();
  }
  if (frame.type !== "exit") {
    return [frame.message, frame.next_step];
  }
  if (frame.reason === "exited") {
    return frame.code === null
      ? [gettext("The process has ended."), ""]
      : [interpolate(gettext("The process ended with exit code %s."), [frame.code]), ""];
  }
  const said = REASONS[frame.reason] ?? endedBy;
  return [said(frame.by), frame.message ?? ""];
}

/** How many bytes, roughly. */
export function amount(bytes) {
  if (bytes < 1000) {
    return interpolate(ngettext("%s byte", "%s bytes", bytes), [bytes]);
  }
  return bytes < 1_000_000 ? `${Math.round(bytes / 1000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
