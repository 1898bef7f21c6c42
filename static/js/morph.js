// Changing a part of the page into another without losing what the person did there.

const KEPT_OPEN = "details, dialog";

function isTouched(input) {
  if (input.type === "checkbox" || input.type === "radio") {
    return input.checked !== input.defaultChecked;
  }
  return "defaultValue" in input && input.value !== input.defaultValue;
}

const callbacks = {
  // Something that lives in the browser (a chart, a terminal) is left alone.
  beforeNodeMorphed: (node) => !(node instanceof Element && node.hasAttribute("data-morph-keep")),
  beforeAttributeUpdated: (name, node) => {
    if (name === "open" && node.matches(KEPT_OPEN)) {
      return false;
    }
    if ((name === "checked" || name === "value") && node.matches("input, textarea") && isTouched(node)) {
      return false;
    }
    // Where an open popover lies is the browser's business.
    if (name === "style" && node.matches(":popover-open")) {
      return false;
    }
    if (name === "aria-expanded" && node.matches("[data-menu], [data-popup]")) {
      return false;
    }
    return !(name === "hidden" && node.classList.contains("bulkbar"));
  },
};

/** Change `target` into `content` (elements); `style` is "outerHTML" or "innerHTML". Returns the resulting nodes. */
export function morph(target, content, style) {
  return Idiomorph.morph(target, content, {
    morphStyle: style,
    // Only where somebody types: it would keep what stands in a focused button as well.
    ignoreActiveValue: document.activeElement?.matches("input, textarea, select") ?? false,
    restoreFocus: true,
    callbacks,
  });
}

/** Offer it to HTMX as hx-swap="morph:outerHTML" and "morph:innerHTML". */
export function startMorph() {
  const styleOf = (swap) => (swap === "morph" ? "outerHTML" : swap.startsWith("morph:") ? swap.slice(6) : "");
  htmx.defineExtension("morph", {
    isInlineSwap: (swap) => styleOf(swap) === "outerHTML",
    handleSwap: (swap, target, fragment) => {
      const style = styleOf(swap);
      return style ? morph(target, fragment.children, style) : false;
    },
  });
}
