// Keys for reviewing items: j/k move, p/f/n conclude, m goes to the note, o opens the record. Buttons work without it.
(() => {
  const rows = () => [...document.querySelectorAll("[data-review] .case-item")];
  let at = null; // id of the current row: the row itself is replaced when its conclusion is stored

  const current = () => (at ? document.getElementById(at) : null);

  const go = (row) => {
    if (!row) return;
    at = row.id;
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  };

  const step = (by) => {
    const all = rows();
    const index = all.indexOf(current());
    go(index < 0 ? all[0] : all[index + by]);
  };

  const press = (selector) => current()?.querySelector(selector)?.click();

  const keys = {
    j: () => step(1),
    k: () => step(-1),
    p: () => press("button[value=pass]"),
    f: () => press("button[value=fail]"),
    n: () => press("button[value=na]"),
    m: () => current()?.querySelector("input[name=note]")?.focus(),
    o: () => press("a.said-q"),
  };

  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || !(target instanceof Element)) return;
    if (target.closest("input, textarea, select, [contenteditable]")) {
      if (event.key === "Escape") go(target.closest(".case-item"));
      return;
    }
    const act = keys[event.key];
    if (!act || rows().length === 0) return;
    event.preventDefault();
    act();
  });

  document.addEventListener("focusin", (event) => {
    const row = event.target instanceof Element ? event.target.closest(".case-item") : null;
    if (row) at = row.id;
  });
})();
