// Runs before the first paint, so that a chosen theme never flashes. No choice: the system's.
(() => {
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Storage may be barred; the system's theme stands.
  }
})();
