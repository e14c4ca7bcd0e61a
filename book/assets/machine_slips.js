// "Find the slip": the machine writes a formula of the book with one slip of the pen. Who finds it
// points at the place, or mends the formula; both are held against the machine.
"use strict";

(() => {
  const views = globalThis.bookViews;
  const { make, setFormula, formula, ask, showVerdict, showPreview, debounced, clear } = views;

  /** @typedef {{ label: string, name: string, latex: string, marked: string,
   *   pieces: [number, number][], start: number, end: number, right: string }} Slip */

  /** The next slip of a section. @param {HTMLElement} section @param {HTMLButtonElement} start @param {BookPage} page */
  views.slips = async (section, start, page) => {
    const chapter = page.page ? page : { page: oneOf(page.chapters) };
    start.disabled = true;
    section.querySelector(".slip")?.remove();
    const { equations, error } = await ask(section, "open_page", [chapter.page]);
    const slip = error ? { error } : await plant(section, equations);
    start.disabled = false;
    start.textContent = "Plant another";
    if (slip.error) {
      const place = make("div", { className: "slip" });
      section.append(place);
      return showVerdict(place, slip, "");
    }
    const name = `slip ${page.page || "all"} ${slip.label} ${slip.name}`;
    section.append(makeRiddle(slip, page.page ? "" : chapter.page, () => globalThis.bookProgress.solve(name)));
  };

  /** @template T @param {T[]} things */
  const oneOf = (things) => things[Math.floor(Math.random() * things.length)];

  /** A slip in one of the derived equations. @param {HTMLElement} section @param {any[]} equations */
  async function plant(section, equations) {
    const derived = equations.filter(({ kind, checked }) => kind === "derived" && checked);
    const { label } = oneOf(derived);
    return ask(section, "slip", [label, Math.floor(Math.random() * 1e6)]);
  }

  /** The formula with its slip, and two ways to find it.
   * @param {Slip} slip @param {string} chapter its page, where it is not this one @param {() => void} found */
  function makeRiddle(slip, chapter, found) {
    const picture = make("div", { className: "slip-formula", tabIndex: 0 });
    picture.setAttribute("role", "application");
    picture.setAttribute("aria-label", "The formula with a slip: arrow keys move over its marks, Enter points at one");
    const input = make("textarea", { value: slip.latex, rows: 2, spellcheck: false });
    const preview = make("div", { className: "try-preview" });
    const verdict = make("div", { className: "verdict" });
    verdict.setAttribute("role", "status");
    const check = make("button", { type: "button", className: "try-check" }, "Check");
    const give = make("button", { type: "button", className: "slip-tell" }, "Tell me");
    const waiting = make("div");
    const node = make("div", { className: "slip" }, makeTitle(slip, chapter), picture);
    const named = make("label", {}, make("span", {}, "Or mend it here"), input);
    // the buttons stand over the preview: one that moved away under the pointer would not be clicked
    node.append(named, make("div", { className: "try-buttons" }, check, give), preview, waiting, verdict);

    const tell = (/** @type {string} */ words) => {
      mark(picture, slip);
      verdict.replaceChildren(...solution(slip, words));
      verdict.dataset.verdict = "equal";
    };
    setFormula(picture, slip.marked, { display: true, pieces: true }).then(() =>
      makePointable(picture, slip, (/** @type {number} */ piece) => {
        if (!isThere(slip, piece)) return showVerdict(verdict, { verdict: "different", message: "It is not there." }, "");
        found();
        tell("✓ Found.");
      }),
    );
    input.addEventListener("input", debounced(() => showPreview(preview, input.value)));
    give.onclick = () => tell("");
    check.onclick = async () => {
      clear(verdict);
      const answer = await ask(waiting, "try_formula", [slip.label, input.value]);
      if (answer.verdict !== "equal" && answer.verdict !== "compared") return showVerdict(verdict, answer, input.value);
      found();
      tell("✓ Mended: this is what the cells derive.");
    };
    return node;
  }

  /** @param {Slip} slip @param {string} chapter */
  function makeTitle({ label }, chapter) {
    const here = document.getElementById(`equation-${label}`);
    const number = here?.querySelector(".eqno")?.firstChild?.textContent ?? label;
    const href = `${chapter.replace(/\.md$/, ".html")}#equation-${label}`;
    const where = chapter ? make("a", { href }, "a formula of the book") : make("span", {}, `formula ${number}`);
    return make("p", {}, "In ", where, " something is wrong:");
  }

  /** What was wrong. @param {Slip} slip @param {string} words */
  function solution({ latex, start, end, right, name }, words) {
    const wrong = latex.slice(start, end).trim();
    const said = make("p");
    if (!wrong) said.append("Here is missing ", formula(right), ".");
    else if (!right.trim()) said.append("There stands ", formula(wrong), " too much.");
    else said.append("There stands ", formula(wrong), ", and it should be ", formula(right), ".");
    return [make("p", { className: "verdict-words" }, `${words} The slip: ${name}.`.trim()), said];
  }

  // --- Pointing ------------------------------------------------------------------------------------

  /** Whether a piece is at the place of the slip, or right beside it where something is missing.
   * @param {Slip} slip @param {number} piece */
  function isThere({ pieces, start, end }, piece) {
    const touching = (/** @type {[number, number]} */ [from, to]) => from < end && to > start;
    if (pieces.some(touching)) return touching(pieces[piece]);
    const before = pieces.findLastIndex(([, to]) => to <= start);
    const after = pieces.findIndex(([from]) => from >= end);
    return piece === before || piece === after;
  }

  /** @param {HTMLElement} picture @param {number} piece @returns {Element | null} */
  const elementOf = (picture, piece) => picture.querySelector(`.piece-${piece}`);

  /** Each piece takes a click; the arrow keys go from one to the next, and Enter chooses.
   * @param {HTMLElement} picture @param {Slip} slip @param {(piece: number) => void} choose */
  function makePointable(picture, slip, choose) {
    let here = -1;
    const go = (/** @type {number} */ to) => {
      elementOf(picture, here)?.classList.remove("is-here");
      here = (to + slip.pieces.length) % slip.pieces.length;
      elementOf(picture, here)?.classList.add("is-here");
    };
    slip.pieces.forEach((_, piece) => {
      elementOf(picture, piece)?.addEventListener("click", (event) => {
        event.stopPropagation();
        choose(piece);
      });
    });
    picture.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) go(here < 0 && step < 0 ? slip.pieces.length - 1 : here + step);
      else if (event.key === "Enter" && here >= 0) choose(here);
      else return;
      event.preventDefault();
    });
  }

  /** Shows the place. @param {HTMLElement} picture @param {Slip} slip */
  function mark(picture, slip) {
    slip.pieces.forEach((_, piece) => {
      if (isThere(slip, piece)) elementOf(picture, piece)?.classList.add("is-slip");
    });
  }
})();
