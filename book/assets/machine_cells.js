// Cells of the book, run and changed on the page. Python runs in the machine's worker, which has
// neither the page nor a network; what it shows comes back as data (ddpm_lite/symbolic/outputs.py).
"use strict";

(() => {
  const views = globalThis.bookViews;
  const { make, setFormula, formula, ask, showVerdict } = views;

  /** The code as it stands now: changed, or the book's. @param {HTMLElement} cell */
  function sourceOf(cell) {
    const changed = cell.querySelector("textarea.cell-source");
    return changed ? /** @type {HTMLTextAreaElement} */ (changed).value : bookSource(cell);
  }

  /** @param {HTMLElement} cell */
  const bookSource = (cell) => (cell.querySelector(".cell_input pre")?.textContent ?? "").trimEnd();

  /** Puts an editor in the place of the code, and a button that brings the code back.
   * @param {HTMLElement} cell @param {number} number @param {BookPage} page */
  views.editCell = (cell, number, page) => {
    if (cell.querySelector("textarea.cell-source")) return;
    const code = /** @type {HTMLElement} */ (cell.querySelector(".cell_input"));
    const rows = bookSource(cell).split("\n").length + 1;
    const input = make("textarea", { className: "cell-source", value: bookSource(cell), rows, spellcheck: false });
    input.setAttribute("aria-label", "The cell, in Python");
    input.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter" || !(event.shiftKey || event.ctrlKey)) return;
      event.preventDefault();
      views.runCell(cell, number, page);
    });
    const reset = make("button", { type: "button", className: "cell-reset" }, "Reset");
    reset.onclick = () => {
      input.remove();
      reset.remove();
      code.hidden = false;
      cell.querySelector(".cell-shown")?.remove();
    };
    code.hidden = true;
    code.after(input);
    cell.querySelector(".cell-bar")?.append(reset);
    input.focus();
  };

  /** Runs the cell, after those above that it needs, and shows what it shows.
   * @param {HTMLElement} cell @param {number} number @param {BookPage} page */
  views.runCell = async (cell, number, page) => {
    cell.querySelector(".cell-shown")?.remove();
    const shown = make("div", { className: "cell-shown" });
    shown.setAttribute("role", "status");
    cell.querySelector(".cell-bar")?.after(shown);
    const answer = await ask(shown, "run_cell", [page.page, number, sourceOf(cell)], page);
    if (answer.error) return showVerdict(shown, answer, "");
    const parts = answer.output.map(drawn);
    if (answer.raised) parts.push(make("pre", { className: "cell-raised" }, answer.raised));
    if (!parts.length) parts.push(make("p", {}, "It ran, and shows nothing."));
    shown.append(make("p", { className: "cell-shown-title" }, "Run here, in your browser:"), ...parts);
    shown.dataset.verdict = answer.raised ? "different" : "equal";
  };

  /** One part of what a cell shows. @param {string[]} part */
  function drawn([kind, ...texts]) {
    if (kind === "line") return proofLine(texts);
    if (kind === "answer") return make("div", { className: "proof-line" }, texts[0]);
    if (kind === "text") return make("pre", {}, texts[0]);
    const node = make("div");
    setFormula(node, texts[0], { display: true });
    return node;
  }

  /** @param {string[]} parts */
  function proofLine([mark, latex, method]) {
    const line = make("div", { className: "proof-line" });
    line.classList.toggle("proof-derived", mark.startsWith("✓"));
    line.append(make("span", { className: "proof-mark" }, mark), formula(latex));
    line.append(make("span", { className: "proof-method" }, method));
    return line;
  }
})();
