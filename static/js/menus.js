// Menus and popovers: a button with data-menu or data-popup and, next to it, an element with popover.
// Nothing is kept per menu, so a list may be replaced at any time.

const invokers = new WeakMap();
let pressedOpen = null;
let lazyMenu = null;

function panelOf(button) {
  if (button.dataset.menuUrl) {
    return fetched(button);
  }
  const panel = button.nextElementSibling;
  return panel?.hasAttribute("popover") ? panel : null;
}

function fetched(button) {
  if (!lazyMenu?.isConnected) {
    lazyMenu = document.createElement("div");
    lazyMenu.className = "menu";
    lazyMenu.setAttribute("role", "menu");
    lazyMenu.setAttribute("popover", "auto");
    document.body.append(lazyMenu);
  }
  if (invokers.get(lazyMenu) !== button && lazyMenu.matches(":popover-open")) {
    lazyMenu.hidePopover();
  }
  return lazyMenu;
}

async function fill(button, panel, focusFirst) {
  const wait = document.createElement("div");
  wait.className = "menu-heading";
  wait.textContent = gettext("One moment…");
  panel.replaceChildren(wait);
  panel.setAttribute("aria-label", button.getAttribute("aria-label") ?? gettext("Actions"));
  await htmx.ajax("GET", button.dataset.menuUrl, { source: button, target: panel, swap: "innerHTML" });
  if (panel.matches(":popover-open") && invokers.get(panel) === button) {
    place(panel, button);
    if (focusFirst) {
      items(panel)[0]?.focus();
    }
  }
}

function open(button, panel, focusFirst) {
  invokers.set(panel, button);
  panel.showPopover();
  place(panel, button);
  if (button.dataset.menuUrl) {
    fill(button, panel, focusFirst);
  }
  if (!panel.matches('[role="menu"]')) {
    return;
  }
  panel.tabIndex = -1;
  const target = focusFirst ? items(panel)[focusFirst === "last" ? items(panel).length - 1 : 0] : null;
  (target ?? panel).focus({ preventScroll: true });
}

function place(panel, button) {
  const anchor = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = panel;
  const margin = 8;
  const fitsEnd = anchor.left + width <= window.innerWidth - margin;
  const left = fitsEnd ? anchor.left : anchor.right - width;
  const below = anchor.bottom + 5;
  const fitsBelow = below + height <= window.innerHeight - margin;
  const top = fitsBelow ? below : Math.max(margin, anchor.top - height - 5);
  panel.style.left = `${Math.max(margin, Math.min(left, window.innerWidth - width - margin))}px`;
  panel.style.top = `${top}px`;
  panel.style.transformOrigin = `${fitsEnd ? "left" : "right"} ${fitsBelow ? "top" : "bottom"}`;
}

function items(panel) {
  return [...panel.querySelectorAll('[role^="menuitem"]')].filter(
    (item) => !item.disabled && item.getAttribute("aria-disabled") !== "true" && item.offsetParent !== null,
  );
}

function move(panel, event) {
  const all = items(panel);
  const present = all.indexOf(document.activeElement);
  const steps = {
    ArrowDown: present + 1,
    ArrowUp: present < 0 ? all.length - 1 : present - 1,
    Home: 0,
    End: all.length - 1,
  };
  if (event.key in steps) {
    event.preventDefault();
    all.at(steps[event.key] % all.length)?.focus();
  } else if (event.key === "Tab") {
    panel.hidePopover();
  } else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey && event.key !== " ") {
    const ahead = [...all.slice(present + 1), ...all.slice(0, present + 1)];
    ahead.find((item) => item.textContent.trim().toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
  }
}

/** Wire up every menu and popover of the page. */
export function startMenus() {
  document.addEventListener(
    "pointerdown",
    (event) => {
      const button = event.target.closest("[data-menu], [data-popup]");
      const panel = button && !button.dataset.menuUrl ? panelOf(button) : lazyMenu;
      // A press outside closes the panel before the click arrives; remember that it was open.
      pressedOpen = button && panel?.matches(":popover-open") && invokers.get(panel) === button ? panel : null;
    },
    true,
  );
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-menu], [data-popup]");
    if (button) {
      event.preventDefault();
      const panel = panelOf(button);
      const byKeyboard = event.detail === 0;
      if (!panel || (!byKeyboard && pressedOpen === panel)) {
        pressedOpen = null;
        if (panel?.matches(":popover-open")) {
          panel.hidePopover();
        }
        return;
      }
      if (panel.matches(":popover-open")) {
        panel.hidePopover();
      } else {
        open(button, panel, byKeyboard && "first");
      }
      return;
    }
    const item = event.target.closest('.menu [role^="menuitem"]:not([data-menu-keep])');
    if (item) {
      const panel = item.closest(".menu");
      // After the click has done its work: a form inside must still be there to be sent.
      setTimeout(() => panel.matches(":popover-open") && panel.hidePopover());
    }
  });
  document.addEventListener("keydown", (event) => {
    const panel = event.target.closest?.('[role="menu"]:popover-open');
    if (panel) {
      move(panel, event);
      return;
    }
    const button = event.target.closest?.("[data-menu]");
    if (button && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      const menu = panelOf(button);
      if (menu) {
        event.preventDefault();
        open(button, menu, event.key === "ArrowDown" ? "first" : "last");
      }
    }
  });
  document.addEventListener(
    "toggle",
    (event) => {
      const button = event.target instanceof Element ? invokers.get(event.target) : null;
      if (!button) {
        return;
      }
      const isOpen = event.newState === "open";
      button.setAttribute("aria-expanded", String(isOpen));
      if (!isOpen && event.target.contains(document.activeElement)) {
        button.focus({ preventScroll: true });
      }
    },
    true,
  );
  document.addEventListener(
    "scroll",
    (event) => {
      for (const panel of document.querySelectorAll(":is(.menu, .popover):popover-open")) {
        // Only what moves its button away: a log that follows scrolls all the time.
        if (event.target.contains(invokers.get(panel) ?? null)) {
          panel.hidePopover();
        }
      }
    },
    { capture: true, passive: true },
  );
  window.addEventListener("resize", () => {
    for (const panel of document.querySelectorAll(":is(.menu, .popover):popover-open")) {
      panel.hidePopover();
    }
  });
}
