// What narrows a list: on a phone the filters fold into their headings, so that the list itself comes into view.

export function mount(facets) {
  if (!window.matchMedia("(width <= 60rem)").matches) return;
  for (const facet of facets.querySelectorAll(".facet")) facet.open = false;
}
