// A sheet of one's own: definitions and claims, line by line, and what the machine says of each.
"use strict";

(() => {
  const views = globalThis.bookViews;
  const { make, formula, ask, showVerdict } = views;
  const KEY = "ddpm-lite-sheet";

  /** @param {HTMLElement} place holds the example with which an empty sheet begins */
  views.sheet = (place) => {
    const example = (place.querySelector("pre")?.textContent ?? "").trim();
    const input = make("textarea", { value: saved() ?? example, rows: 10, spellcheck: false, id: "sheet" });
    const check = make("button", { type: "button", className: "try-check" }, "Check");
    const again = make("button", { type: "button" }, "Begin with the example again");
    const waiting = make("div");
    const list = make("ol", { className: "sheet-lines" });
    list.setAttribute("role", "status");
    const label = make("label", {}, make("span", {}, "Your sheet, one statement on each line"), input);
    input.addEventListener("input", () => save(input.value));
    again.onclick = () => {
      input.value = example;
      save(example);
      list.replaceChildren();
    };
    check.onclick = async () => {
      list.replaceChildren();
      const typed = input.value.split("\n");
      const { lines, ...answer } = await ask(waiting, "sheet", [input.value]);
      if (!lines) return showVerdict(list, answer, "");
      list.replaceChildren(...lines.map((/** @type {any} */ line) => row(line, typed[line.line - 1])));
    };
    place.replaceChildren(label, make("div", { className: "try-buttons" }, check, again), waiting, list);
  };

  const RIGHT = { equal: "It holds.", defined: "From here on it has this value." };

  /** @param {any} line @param {string} typed */
  function row(line, typed) {
    const verdict = make("div", { className: "verdict" });
    showVerdict(verdict, line, typed, RIGHT[/** @type {keyof typeof RIGHT} */ (line.verdict)]);
    const shown = line.latex ? formula(line.latex) : make("code", {}, typed);
    return make("li", { value: line.line }, shown, verdict);
  }

  /** What was typed here before. */
  function saved() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // a browser that keeps nothing
    }
  }

  /** @param {string} text */
  function save(text) {
    try {
      localStorage.setItem(KEY, text);
    } catch {
      // then it is gone when the page is left
    }
  }
})();
