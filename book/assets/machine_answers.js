// Answers to exercises: symbols to click, the verdict with an example, and the hint after a miss.
"use strict";

(() => {
  const views = globalThis.bookViews;
  const { make, formula, ask, showVerdict } = views;

  /** The chapter's symbols below the field, to be clicked. @param {HTMLFormElement} form @param {BookPage} page */
  views.offerSymbols = (form, page) => {
    if (form.querySelector(".answer-symbols")) return;
    const input = fieldOf(form);
    const list = make("div", { className: "answer-symbols" });
    list.setAttribute("aria-label", "Symbols of this chapter");
    list.setAttribute("role", "group");
    for (const [latex, typed] of page.symbols) {
      const button = make("button", { type: "button", title: typed }, formula(latex));
      button.setAttribute("aria-label", typed);
      button.onclick = () => insert(input, input.value.includes("\\") ? latex : typed);
      list.append(button);
    }
    const how = make("p", { className: "answer-how" }, "Type it as in Python, ");
    how.append(make("code", {}, "sqrt(1 - abar_t)"), ", or in LaTeX.");
    form.append(how, list);
  };

  /** @param {HTMLFormElement} form */
  const fieldOf = (form) => /** @type {HTMLInputElement} */ (form.querySelector("input"));

  /** Puts a symbol where the cursor is. @param {HTMLInputElement} input @param {string} text */
  function insert(input, text) {
    const start = input.selectionStart ?? input.value.length;
    input.setRangeText(text, start, input.selectionEnd ?? start, "end");
    input.focus();
  }

  /** Marks what stands in the field. @param {HTMLFormElement} form @param {BookPage} page */
  views.answer = async (form, page) => {
    const { exercise, part } = form.dataset;
    const typed = fieldOf(form).value;
    const place = placeOf(form);
    place.replaceChildren();
    delete place.dataset.verdict;
    if (!typed.trim()) return place.replaceChildren("Type an answer first.");
    const answer = await ask(form, "try_answer", [exercise, typed, Number(part)], page);
    const right = answer.verdict === "equal";
    const told = answer.verdict === "different" ? { ...answer, message: "Not yet." } : answer;
    showVerdict(place, told, typed, "Right.");
    if (answer.latex && answer.latex !== typed) place.prepend(make("p", {}, "Read as ", formula(answer.latex)));
    if (answer.hint && answer.verdict === "different") place.append(make("p", {}, "Hint: ", answer.hint));
    if (right) globalThis.bookProgress.solve(`answer ${exercise} ${part}`);
  };

  /** Where a verdict stands. @param {HTMLFormElement} form @returns {HTMLElement} */
  function placeOf(form) {
    const there = form.querySelector(".verdict");
    if (there) return /** @type {HTMLElement} */ (there);
    const made = make("div", { className: "verdict" });
    made.setAttribute("role", "status");
    form.append(made);
    return made;
  }
})();
