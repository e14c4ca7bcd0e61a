// The proof machine on a page before anybody uses it: buttons, fields, and what was solved before.
//
// The first use loads the scripts that make the views (`bookViews`), and the first question, which
// they ask, loads the machine itself. What the page tells stands in it as JSON (book_machine.py).
"use strict";

(() => {
  const told = document.getElementById("book-machine");
  if (!told) return;
  /** @type {BookPage} */
  const page = JSON.parse(told.textContent ?? "");
  const root = new URL(".", /** @type {HTMLScriptElement} */ (document.currentScript).src).href;
  const VIEWS = [
    "machine/commands.js",
    "machine_client.js",
    "machine_views.js",
    "machine_try.js",
    "machine_answers.js",
    "machine_slips.js",
    "machine_cells.js",
    "machine_sheet.js",
  ];

  /** @type {Promise<BookViews> | undefined} */
  let coming;
  const views = () => (coming ??= load());

  async function load() {
    const style = Object.assign(document.createElement("link"), { rel: "stylesheet" });
    style.href = `${root}machine.css`;
    document.head.append(style);
    await Promise.all(VIEWS.map(loadScript));
    return globalThis.bookViews;
  }

  /** Scripts run in the order in which they are asked for. @param {string} name */
  function loadScript(name) {
    const script = Object.assign(document.createElement("script"), { async: false });
    return new Promise((resolve, reject) => {
      script.onload = resolve;
      script.onerror = () => reject(new Error(`${name} cannot be loaded`));
      script.src = root + name;
      document.head.append(script);
    });
  }

  /** A button that uses the machine; if its scripts do not come it says why.
   * @param {string} name @param {string} words @param {(views: BookViews) => void} use */
  function button(name, words, use) {
    const made = Object.assign(document.createElement("button"), { type: "button", className: name });
    made.append(words);
    made.addEventListener("click", () =>
      views().then(use, (error) => {
        coming = undefined;
        made.after(` ${error.message}.`);
      }),
    );
    return made;
  }

  // --- What is on the page -----------------------------------------------------------------------

  /** The tick of a proof is a button. @param {HTMLElement} line */
  function openLine(line) {
    const mark = line.querySelector(".proof-mark");
    if (!mark) return;
    const open = button("try-open", "", (v) => v.tryFormula(line, open, page));
    open.setAttribute("aria-expanded", "false");
    const words = Object.assign(document.createElement("span"), { className: "try-words" });
    words.textContent = "check it yourself";
    mark.replaceWith(open);
    open.append(mark, " ", words);
  }

  /** @param {HTMLFormElement} form */
  function openAnswer(form) {
    form.hidden = false;
    form.addEventListener("focusin", () => views().then((v) => v.offerSymbols(form, page)), { once: true });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      views().then((v) => v.answer(form, page));
    });
  }

  /** A cell that SymPy is enough for can be run and changed. @param {number} number */
  function openCell(number) {
    const cell = document.getElementById(`cell-${number}`);
    const code = cell?.querySelector(".cell_input");
    if (!cell || !code || cell.classList.contains("tag_hide-input")) return;
    const run = button("cell-run", "Run", (v) => v.runCell(cell, number, page));
    const edit = button("cell-edit", "Change", (v) => v.editCell(cell, number, page));
    const bar = Object.assign(document.createElement("div"), { className: "cell-bar" });
    bar.append(run, edit);
    code.after(bar);
  }

  /** The others say where they run. @param {HTMLElement} cell */
  function sayWhere(cell) {
    const code = cell.querySelector(".cell_input");
    if (!code || cell.classList.contains("tag_hide-input")) return;
    const where = Object.assign(document.createElement("p"), { className: "cell-where" });
    where.append("Runs in Colab or on your machine: on this page there is SymPy alone.");
    code.after(where);
  }

  // --- Progress ----------------------------------------------------------------------------------

  const KEY = "ddpm-lite";
  /** What has been solved, in this browser. @returns {Record<string, true>} */
  function solved() {
    try {
      return JSON.parse(localStorage.getItem(KEY) ?? "{}");
    } catch {
      return {}; // a browser that keeps nothing, or something else under this name
    }
  }

  /** @param {Record<string, true>} all */
  function keep(all) {
    try {
      localStorage.setItem(KEY, JSON.stringify(all));
    } catch {
      // it is shown all the same, until the page is left
    }
  }

  /** @param {string} what as in "answer ex-half-noise 0" or "slip 04_forward_closed_form.md 3" */
  function solve(what) {
    keep({ ...solved(), [what]: true });
    showProgress();
  }

  const line = Object.assign(document.createElement("p"), { className: "progress-line" });

  function showProgress() {
    const all = Object.keys(solved());
    const fields = [...document.querySelectorAll("form.answer")].map(nameOf);
    const right = fields.filter((name) => all.includes(name)).length;
    const slips = all.filter((name) => name.startsWith(`slip ${page.page}`)).length;
    for (const form of document.querySelectorAll("form.answer")) {
      form.classList.toggle("is-solved", all.includes(nameOf(form)));
    }
    const answers = fields.length ? `${right} of ${fields.length} answers right, ` : "";
    const count = `${slips} ${slips === 1 ? "slip" : "slips"} found. `;
    const clear = Object.assign(document.createElement("button"), { type: "button" });
    clear.textContent = "Forget all of it";
    clear.onclick = () => (keep({}), showProgress());
    line.replaceChildren(`${answers}${count}This is kept in your browser only. `, clear);
  }

  /** @param {Element} form */
  function nameOf(form) {
    const { exercise, part } = /** @type {HTMLElement} */ (form).dataset;
    return `answer ${exercise} ${part}`;
  }

  // --- Start -------------------------------------------------------------------------------------

  globalThis.bookProgress = { solved, solve };
  for (const one of document.querySelectorAll(".proof-derived[data-label]")) openLine(/** @type {HTMLElement} */ (one));
  for (const form of document.querySelectorAll("form.answer")) openAnswer(/** @type {HTMLFormElement} */ (form));
  page.cells?.forEach(openCell);
  for (const cell of document.querySelectorAll(".cell[id^=cell-]")) {
    if (!cell.querySelector(".cell-bar")) sayWhere(/** @type {HTMLElement} */ (cell));
  }
  for (const section of document.querySelectorAll(".slips")) {
    /** @type {HTMLElement} */ (section).hidden = false;
    const start = button("slips-start", "Plant a slip", (v) => v.slips(section, start, page));
    section.append(start);
    section.after(line);
    showProgress();
  }
  for (const place of document.querySelectorAll(".book-machine-place.sheet")) {
    views().then((v) => v.sheet(/** @type {HTMLElement} */ (place)));
  }
})();
