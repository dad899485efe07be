// Long traces: only what is near the screen is in the page; the rest is fetched when it comes near.
// Without this file the page shows its first rows, and links lead to the others.
(() => {
  const list = document.querySelector("[data-trace]");
  if (!list) return;
  const SIZE = Number(list.dataset.size);
  const url = list.dataset.trace;
  const closed = new Set(list.dataset.closed ? list.dataset.closed.split(",").map(Number) : []);
  let total = Number(list.dataset.total);
  let height = 0; // of a row, in pixels
  let version = 0; // answers to questions asked before the last fold are dropped
  let chunks = [];
  const say = (text) => {
    const live = document.getElementById("live");
    if (live) live.textContent = text;
  };

  const rowsOf = (chunk) => [...chunk.querySelectorAll(".trace-row")];
  const measure = () => {
    const row = list.querySelector(".trace-row");
    if (row) height = row.getBoundingClientRect().height || height;
  };
  const ask = async (from) => {
    const query = new URLSearchParams({ from: String(from), closed: [...closed].join(",") });
    const answer = await fetch(`${url}?${query}`, { headers: { "HX-Request": "true" } });
    if (!answer.ok) throw new Error(String(answer.status));
    const box = document.createElement("template");
    box.innerHTML = await answer.text();
    const piece = box.content.querySelector("[data-total]");
    return { total: Number(piece.dataset.total), rows: [...piece.children] };
  };
  const fill = async (chunk) => {
    if (chunk.dataset.state) return;
    chunk.dataset.state = "asked";
    const asked = version;
    try {
      const { rows } = await ask(Number(chunk.dataset.from));
      if (asked !== version) return;
      chunk.replaceChildren(...rows);
      chunk.style.height = "";
      chunk.dataset.state = "full";
      window.htmx?.process(chunk);
    } catch {
      delete chunk.dataset.state; // It is asked for again when it next comes near.
    }
  };
  const empty = (chunk) => {
    if (chunk.dataset.state !== "full" || chunk.contains(document.activeElement)) return;
    chunk.style.height = `${rowsOf(chunk).length * height}px`;
    chunk.replaceChildren();
    delete chunk.dataset.state;
  };
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) fill(entry.target);
      else empty(entry.target);
    }
  }, { root: list, rootMargin: "1200px 0px" });

  const lay = (first) => {
    watcher.disconnect();
    chunks = [];
    for (let from = 0; from < total; from += SIZE) {
      const chunk = document.createElement("div");
      chunk.dataset.from = String(from);
      if (from === 0 && first) {
        chunk.replaceChildren(...first);
        chunk.dataset.state = "full";
      } else {
        chunk.style.height = `${Math.min(SIZE, total - from) * height}px`;
      }
      chunks.push(chunk);
    }
    list.replaceChildren(...chunks);
    chunks.forEach((chunk) => watcher.observe(chunk));
  };

  // The row at a place of the list, brought onto the screen.
  const rowAt = async (place) => {
    const chunk = chunks[Math.floor(place / SIZE)];
    if (!chunk) return null;
    if (chunk.dataset.state !== "full") {
      chunk.scrollIntoView({ block: "center" });
      await fill(chunk);
      for (let tries = 0; chunk.dataset.state !== "full" && tries < 100; tries += 1) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
    return rowsOf(chunk)[place % SIZE] ?? null;
  };
  const placeOf = (row) => {
    const chunk = row.parentElement;
    return Number(chunk.dataset.from) + rowsOf(chunk).indexOf(row);
  };
  const focusAt = async (place) => {
    const row = await rowAt(Math.max(0, Math.min(place, total - 1)));
    if (!row) return;
    list.querySelectorAll('.trace-row[tabindex="0"]').forEach((other) => other.setAttribute("tabindex", "-1"));
    row.setAttribute("tabindex", "0");
    row.scrollIntoView({ block: "nearest" });
    row.focus({ preventScroll: true });
  };

  const fold = async (row, shut) => {
    const place = placeOf(row);
    const number = Number(row.dataset.number);
    const top = list.scrollTop;
    if (shut) closed.add(number);
    else closed.delete(number);
    version += 1;
    const answer = await ask(0);
    total = answer.total;
    lay(answer.rows);
    list.scrollTop = top;
    await focusAt(place);
    say(`${shut ? "Closed" : "Opened"}; ${total} rows`);
  };
  const parentOf = (row) => {
    const level = Number(row.getAttribute("aria-level"));
    let place = placeOf(row) - 1;
    for (; place >= 0; place -= 1) {
      const chunk = chunks[Math.floor(place / SIZE)];
      const other = chunk.dataset.state === "full" ? rowsOf(chunk)[place % SIZE] : null;
      if (!other || Number(other.getAttribute("aria-level")) < level) break;
    }
    return place;
  };

  const keys = {
    ArrowDown: (row) => focusAt(placeOf(row) + 1),
    ArrowUp: (row) => focusAt(placeOf(row) - 1),
    Home: () => focusAt(0),
    End: () => focusAt(total - 1),
    PageDown: (row) => focusAt(placeOf(row) + 20),
    PageUp: (row) => focusAt(placeOf(row) - 20),
    ArrowRight: (row) => (row.getAttribute("aria-expanded") === "false" ? fold(row, false) : focusAt(placeOf(row) + 1)),
    ArrowLeft: (row) => (row.getAttribute("aria-expanded") === "true" ? fold(row, true) : focusAt(parentOf(row))),
    Enter: (row) => row.querySelector("a[data-span]")?.click(),
  };
  list.addEventListener("keydown", (event) => {
    const row = event.target instanceof Element ? event.target.closest(".trace-row") : null;
    if (!row || event.target !== row || event.altKey || event.ctrlKey || event.metaKey) return;
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act(row);
  });
  list.addEventListener("click", (event) => {
    const toggle = event.target instanceof Element ? event.target.closest("[data-fold]") : null;
    if (!toggle) return;
    event.preventDefault();
    const row = toggle.closest(".trace-row");
    fold(row, row.getAttribute("aria-expanded") === "true");
  });
  document.querySelector("[data-next-failure]")?.addEventListener("click", async (event) => {
    event.preventDefault();
    const current = list.querySelector('.trace-row[tabindex="0"]');
    const query = new URLSearchParams({ after: String(current ? placeOf(current) : -1), closed: [...closed].join(",") });
    const answer = await fetch(`${url}?${query}`, { headers: { "HX-Request": "true" } });
    const place = Number(answer.headers.get("X-Failure-At"));
    if (answer.ok && place >= 0) await focusAt(place);
    else say("No further failure");
  });

  measure();
  document.querySelector(".trace-pager")?.remove();
  if (Number(list.dataset.from) === 0) lay(rowsOf(list));
  else ask(0).then(({ rows }) => {
    const start = Number(list.dataset.from);
    lay(rows);
    focusAt(start);
  });
})();
