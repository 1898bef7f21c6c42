// Runs before anything is painted, so that a page never flashes in the wrong colours.
(() => {
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const theme = root.dataset.theme || "system";
    root.classList.toggle("dark", theme === "dark" || (theme === "system" && system.matches));
  };
  system.addEventListener("change", apply);
  new MutationObserver(apply).observe(root, { attributes: true, attributeFilter: ["data-theme"] });
  apply();
})();
