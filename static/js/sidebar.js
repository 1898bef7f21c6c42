// The sidebar: icons only or with words, remembered in a cookie so that the server draws it right at once.

function toggle() {
  const frame = document.getElementById("frame");
  const collapsed = frame.toggleAttribute("data-collapsed");
  document.cookie = `pilothouse_sidebar=${collapsed ? "collapsed" : "open"}; path=/; max-age=31536000; samesite=lax`;
  describe();
}

function describe() {
  const collapsed = document.getElementById("frame").hasAttribute("data-collapsed");
  const button = document.getElementById("sidebar-toggle");
  const label = collapsed ? button.dataset.labelOpen : button.dataset.labelClose;
  button.setAttribute("aria-expanded", String(!collapsed));
  button.setAttribute("aria-label", label);
  button.title = label;
}

/** Wire up the sidebar's button and its command. */
export function startSidebar() {
  describe();
  document.addEventListener("click", (event) => {
    if (event.target.closest("#sidebar-toggle, [data-sidebar-toggle]")) {
      toggle();
    }
  });
}
