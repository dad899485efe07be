// Go to, by keyboard: Ctrl or Cmd with K. Without this file the button beside it leads to a page that does the same.
(() => {
  const dialog = document.getElementById("palette");
  const field = dialog?.querySelector("input");
  if (!field) return;
  const found = document.getElementById("palette-found");
  const every = () => [...dialog.querySelectorAll("[role=option]")];
  const shown = () => every().filter((option) => !option.hidden);
  let place = 0;

  const mark = (wanted) => {
    const options = shown();
    place = options.length ? (wanted + options.length) % options.length : 0;
    for (const option of every()) option.setAttribute("aria-selected", String(option === options[place]));
    if (options.length) field.setAttribute("aria-activedescendant", options[place].id);
    else field.removeAttribute("aria-activedescendant");
    options[place]?.scrollIntoView({ block: "nearest" });
  };

  // What was found belongs to what was typed before: it goes, and comes again for the new text.
  const narrow = () => {
    const text = field.value.trim().toLowerCase();
    for (const option of dialog.querySelectorAll("[data-page]")) {
      option.hidden = text !== "" && !option.textContent.toLowerCase().includes(text);
    }
    found.replaceChildren();
    mark(0);
  };

  const open = () => {
    if (dialog.open) return;
    field.value = "";
    narrow();
    dialog.showModal();
    field.focus();
  };

  field.addEventListener("input", narrow);
  new MutationObserver(() => mark(0)).observe(found, { childList: true });

  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const options = shown();
    if (event.key === "ArrowDown") mark(place + 1);
    else if (event.key === "ArrowUp") mark(place - 1);
    else if (event.key === "Enter" && options.length) options[place].click();
    else return; // Enter with nothing in the list asks the server: the form is sent.
    event.preventDefault();
  });

  document.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey || event.key.toLowerCase() !== "k") return;
    event.preventDefault();
    if (dialog.open) dialog.close();
    else open();
  });

  document.addEventListener("click", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    if (target === dialog) dialog.close(); // beside it
    if (!target?.closest("[data-palette-open]") || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open();
  });
})();
