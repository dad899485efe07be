// Conveniences. Every page works without this file.
(() => {
  const root = document.documentElement;
  const canonical = new WeakMap(); // element → the text it held before it was laid out
  const announce = (text) => {
    const live = document.getElementById("live");
    if (live) live.textContent = text;
  };

  const toggleTheme = () => {
    const dark = getComputedStyle(root).colorScheme.startsWith("dark")
      || (!root.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
    root.dataset.theme = dark ? "light" : "dark";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {
      // The choice then lasts as long as the page.
    }
    announce(`${root.dataset.theme} theme`);
  };

  const copy = async (button) => {
    const source = document.getElementById(button.dataset.copyFrom);
    const text = source ? (canonical.get(source) ?? source.textContent) : button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      announce("Copying is not allowed here.");
      return;
    }
    button.dataset.copied = "";
    announce("Copied");
    setTimeout(() => delete button.dataset.copied, 1500);
  };

  const JSON_TOKEN = /("(?:[^"\\]|\\.)*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|\b(true|false|null)\b/g;

  const colour = (element, text) => {
    const nodes = [];
    let end = 0;
    for (const match of text.matchAll(JSON_TOKEN)) {
      const [whole, string, colon, number] = match;
      const span = document.createElement("span");
      span.className = string ? (colon ? "json-key" : "json-string") : number ? "json-number" : "json-word";
      span.textContent = string ?? whole;
      nodes.push(text.slice(end, match.index), span, colon ?? "");
      end = match.index + whole.length;
    }
    element.replaceChildren(...nodes, text.slice(end));
  };

  // Shows canonical JSON indented. The canonical text is kept: it is what copies, and what was hashed.
  const layOut = (element) => {
    const text = element.textContent;
    if (text.length > 500_000) return;
    let indented;
    try {
      indented = JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      return; // Not JSON: it stays as it is.
    }
    canonical.set(element, text);
    colour(element, indented);
    const button = document.querySelector(`[data-json-toggle="${element.id}"]`);
    button?.removeAttribute("hidden");
    button?.addEventListener("click", () => {
      const exact = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(exact));
      if (exact) element.textContent = text;
      else colour(element, indented);
    });
  };

  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    const button = target?.closest("[data-copy], [data-copy-from]");
    if (button) copy(button);
    if (target?.closest("[data-theme-toggle]")) toggleTheme();
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(target)) menu.open = false;
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = document.querySelector("details.menu[open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("[data-json]").forEach(layOut);
    // What is wider than the screen opens where one looks first: a chart at its newest end, menus and tabs at this one.
    for (const here of document.querySelectorAll(":is(.nav, .tabs) > [aria-current]")) {
      here.parentElement.scrollLeft = here.offsetLeft - here.parentElement.offsetLeft - 48;
    }
    for (const chart of document.querySelectorAll("[data-newest-end]")) chart.scrollLeft = chart.scrollWidth;
  });
})();
