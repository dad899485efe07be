// The policy editor: line numbers, marks where a problem is, and what is pressed beside it put at the cursor.
// Without this file it is a text area, and the check when saving says the same.
(() => {
  const editor = document.querySelector("[data-editor]");
  const text = editor?.querySelector("textarea");
  if (!text) return;
  const form = text.form;
  const check = document.getElementById("check");
  const lines = document.createElement("div");
  const saved = text.value;
  let leaving = false;

  const wrongLines = () => new Set([...check.querySelectorAll("[data-line]")].map((problem) => problem.dataset.line));

  const number = () => {
    const wrong = wrongLines();
    const rows = text.value.split("\n").map((_, n) => {
      const row = document.createElement("div");
      row.textContent = String(n + 1);
      if (wrong.has(row.textContent)) row.className = "is-wrong";
      return row;
    });
    // A horizontal scroll bar takes room at the end of the text; the numbers must be able to scroll as far.
    const end = document.createElement("div");
    end.textContent = "\u00a0";
    lines.replaceChildren(...rows, end);
    lines.scrollTop = text.scrollTop;
  };

  const goTo = (line, column) => {
    const before = text.value.split("\n").slice(0, line - 1);
    const at = before.reduce((sum, row) => sum + row.length + 1, 0) + column - 1;
    text.focus();
    text.setSelectionRange(at, at);
    text.scrollTop = Math.max(0, (line - 6) * parseFloat(getComputedStyle(text).lineHeight));
  };

  const insert = (words) => {
    text.setRangeText(words, text.selectionStart, text.selectionEnd, "end");
    text.focus();
    text.dispatchEvent(new Event("input", { bubbles: true }));
  };

  const find = (input) => {
    const wanted = input.value.trim().toLowerCase();
    for (const item of form.querySelectorAll("[data-fact]")) {
      item.hidden = !item.dataset.fact.toLowerCase().includes(wanted);
    }
    for (const group of form.querySelectorAll("[data-group]")) {
      group.hidden = !group.querySelector("[data-fact]:not([hidden])");
    }
  };

  lines.className = "editor-lines mono";
  lines.setAttribute("aria-hidden", "true");
  editor.classList.add("editor-numbered");
  editor.append(lines);
  text.setAttribute("wrap", "off");
  number();

  text.addEventListener("input", number);
  text.addEventListener("scroll", () => (lines.scrollTop = text.scrollTop));
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  new MutationObserver(number).observe(check, { childList: true });

  form.addEventListener("click", (event) => {
    const pressed = event.target.closest("[data-line], [data-insert]");
    if (pressed?.dataset.line) goTo(Number(pressed.dataset.line), Number(pressed.dataset.column));
    else if (pressed) insert(pressed.dataset.insert);
  });
  for (const input of form.querySelectorAll("[data-find]")) {
    input.hidden = false;
    input.addEventListener("input", () => find(input));
    input.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
  }

  form.addEventListener("submit", () => (leaving = true));
  addEventListener("beforeunload", (event) => {
    if (!leaving && text.value !== saved) event.preventDefault();
  });
})();
