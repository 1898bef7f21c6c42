// Icons that scripts put into what they build; the page brings their drawings.

/** Return a fresh copy of the icon `name`. */
export function icon(name) {
  const drawings = document.getElementById("script-icons");
  const drawing = drawings?.content.querySelector(`.i-${name}`) ?? drawings?.content.querySelector(".i-tab");
  return drawing ? drawing.cloneNode(true) : document.createElement("span");
}
