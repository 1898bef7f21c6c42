// Links whose aim changes while they are there.

/** Let a link lead elsewhere. A boosted one goes where it led when htmx last looked at it. */
export function lead(link, href) {
  if (link.href !== href) {
    link.href = href;
    htmx.process(link);
  }
}
