// "Check it yourself": an editor with a formula of the book, its picture while it is typed, and what
// the machine says of it.
"use strict";

(() => {
  const views = globalThis.bookViews;
  const { make, setFormula, strange, ask, showVerdict } = views;

  /** The LaTeX that a proof line shows; a row of it on each line. @param {HTMLElement} line */
  function latexOf(line) {
    const items = [...(globalThis.MathJax?.startup?.document?.math ?? [])];
    const item = items.find(({ typesetRoot }) => typesetRoot && line.contains(typesetRoot));
    const latex = item ? item.math : (line.querySelector(".math")?.textContent ?? "");
    return latex.replace(/^\\[([]|\\[)\]]$/g, "").replaceAll(/\\\\ */g, "\\\\\n").trim();
  }

  /** Opens or closes the editor below a proof line.
   * @param {HTMLElement} line @param {HTMLButtonElement} button @param {BookPage} page */
  views.tryFormula = async (line, button, page) => {
    await globalThis.MathJax?.startup?.promise; // it knows the LaTeX of what it has set
    const open = line.nextElementSibling;
    if (open?.matches("section.try")) return close(open, button);
    const editor = makeEditor(String(line.dataset.label), latexOf(line), page);
    line.after(editor.node);
    button.setAttribute("aria-expanded", "true");
    editor.node.addEventListener("keydown", (/** @type {KeyboardEvent} */ { key }) => key === "Escape" && close(editor.node, button));
    editor.closing.addEventListener("click", () => close(editor.node, button));
    editor.input.focus();
    views.openPage(page).then(() => globalThis.bookMachine.ask("run_to", [line.dataset.label])); // ahead of the first check
  };

  /** @param {Element} node @param {HTMLButtonElement} button */
  function close(node, button) {
    node.remove();
    button.setAttribute("aria-expanded", "false");
    button.focus();
  }

  /** @param {string} label @param {string} latex the book's formula @param {BookPage} page */
  function makeEditor(label, latex, page) {
    const rows = Math.min(8, Math.max(2, Math.ceil(latex.length / 70), latex.split("\n").length));
    const input = make("textarea", { value: latex, rows, spellcheck: false, autocapitalize: "off" });
    const preview = make("div", { className: "try-preview" });
    const verdict = make("div", { className: "verdict" });
    verdict.setAttribute("role", "status");
    const check = make("button", { type: "button", className: "try-check" }, "Check");
    const back = make("button", { type: "button", className: "try-back" }, "Back to the book's formula");
    const closing = make("button", { type: "button", className: "try-close" }, "Close");
    const waiting = make("div");
    const named = make("label", {}, make("span", {}, "The formula, in LaTeX: change it, and see whether it still holds"), input);
    const bar = make("div", { className: "try-buttons" }, check, back, closing);
    const node = make("section", { className: "try" }, named, bar, preview, waiting, verdict); // the preview moves no button
    node.dataset.label = label;
    node.setAttribute("aria-label", "Check the formula yourself");

    const show = () => showPreview(preview, input.value);
    input.addEventListener("input", debounced(show));
    input.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) check.click();
    });
    back.onclick = () => {
      input.value = latex;
      clear(verdict);
      show();
    };
    check.onclick = () => judge(label, page, input, waiting, verdict);
    show();
    return { node, input, closing };
  }

  /** @param {HTMLElement} verdict */
  function clear(verdict) {
    verdict.replaceChildren();
    delete verdict.dataset.verdict;
  }

  /** @param {() => void} action @param {number} [wait] milliseconds after the last key */
  function debounced(action, wait = 120) {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    return () => {
      clearTimeout(timer);
      timer = setTimeout(action, wait);
    };
  }

  /** @param {HTMLElement} preview @param {string} latex */
  async function showPreview(preview, latex) {
    const other = strange(latex);
    if (other) return preview.replaceChildren(`${other} is no command of the book: this is not drawn.`);
    if (!(await setFormula(preview, latex, { display: true })))
      preview.replaceChildren("This is not yet a formula that can be drawn.");
  }

  /** @param {string} label @param {BookPage} page @param {HTMLTextAreaElement} input
   * @param {HTMLElement} waiting @param {HTMLElement} verdict */
  async function judge(label, page, input, waiting, verdict) {
    const typed = input.value;
    clear(verdict);
    const answer = await ask(waiting, "try_formula", [label, typed], page);
    const right = answer.verdict === "compared" ? "The members are what the cells derive." : "This is what the cells derive.";
    showVerdict(verdict, answer, typed, right);
    if (answer.place !== undefined && document.activeElement === input) {
      input.setSelectionRange(answer.place, answer.place + 1);
    }
  }

  Object.assign(views, { showPreview, debounced, clear });
})();
