// Says results aloud to those who do not see them.

let timer = 0;

/** Put `text` into the page's live region. */
export function announce(text) {
  const region = document.getElementById("announce");
  if (!region || !text) {
    return;
  }
  // Emptied first, so that the same sentence twice is said twice.
  region.textContent = "";
  clearTimeout(timer);
  timer = setTimeout(() => {
    region.textContent = text;
  }, 60);
}
