// What the views of the proof machine share: pieces of a page, formulas, verdicts, and how far the
// machine has come. Nothing that was typed or computed is ever put into the page as HTML.
"use strict";

/** @type {any} */
globalThis.bookViews = (() => {
  /** @template {keyof HTMLElementTagNameMap} K
   * @param {K} tag @param {Record<string, any>} [attributes] @param {(Node | string)[]} inside
   * @returns {HTMLElementTagNameMap[K]} */
  function make(tag, attributes = {}, ...inside) {
    const node = Object.assign(document.createElement(tag), attributes);
    node.append(...inside);
    return node;
  }

  // --- Formulas ----------------------------------------------------------------------------------

  const known = new Set(globalThis.bookCommands);
  const LONGEST = 4000;

  /** The first command that is none of the book's: others could do more than draw. @param {string} latex */
  function strange(latex) {
    return [...latex.matchAll(/\\([a-zA-Z]+|[^])/g)].find(([, name]) => !known.has(name))?.[0];
  }

  /** Sets a formula, or shows its LaTeX where it may not be drawn. `pieces` allows \class{piece-1}.
   * @param {HTMLElement} node @param {string} latex @param {{ display?: boolean, pieces?: boolean }} [how] */
  async function setFormula(node, latex, { display = false, pieces = false } = {}) {
    const plain = pieces ? latex.replaceAll(/\\class\{piece-\d+\}/g, "") : latex;
    const drawn = !strange(plain) && plain.length <= LONGEST && (await draw(node, latex, display));
    node.replaceChildren(drawn || make("code", {}, plain));
    if (drawn) node.dispatchEvent(new Event("book:formulas", { bubbles: true }));
    return Boolean(drawn);
  }

  /** As wide as it may be in the node.
   * @param {HTMLElement} node @param {string} latex @param {boolean} display @returns {Promise<HTMLElement | null>} */
  async function draw(node, latex, display) {
    const { MathJax } = globalThis;
    await MathJax?.startup?.promise;
    if (!MathJax?.tex2chtmlPromise) return null;
    const drawn = await MathJax.tex2chtmlPromise(latex, { ...MathJax.getMetricsFor?.(node, display), display });
    MathJax.startup?.document?.reset(); // or it believes that its style is up to date
    MathJax.startup?.document?.updateDocument(); // the style of letters that are new on the page
    return drawn.querySelector("mjx-merror") ? null : drawn;
  }

  /** A formula in a line of text. @param {string} latex */
  function formula(latex) {
    const node = make("span", { className: "math-inline" }, make("code", {}, latex));
    setFormula(node, latex);
    return node;
  }

  /** Words with formulas between dollar signs. @param {string} text @returns {(Node | string)[]} */
  function prose(text) {
    const parts = text.split("$");
    if (parts.length % 2 === 0) return [text];
    return parts.map((part, k) => (k % 2 ? formula(part) : part));
  }

  // --- How far the machine is ----------------------------------------------------------------------

  /** A line that tells it while something waits; the machine loads on the first question. */
  function stateLine() {
    const bar = make("progress", { max: 1, value: 0 });
    const words = make("span");
    const node = make("p", { className: "machine-state", hidden: true }, bar, " ", words);
    const end = globalThis.bookMachine.watch(({ state, loaded, bytes }) => {
      const share = bytes ? loaded / bytes : 0;
      bar.value = share;
      bar.hidden = state !== "loading";
      words.textContent = state === "loading" ? loading(loaded, bytes) : "The machine works.";
    });
    return { node, end };
  }

  /** @param {number} loaded @param {number} bytes */
  function loading(loaded, bytes) {
    if (!bytes || loaded >= bytes) return "The machine starts.";
    const mega = (/** @type {number} */ n) => (n / 1e6).toFixed(0);
    return `Loading the proof machine, once: ${mega(loaded)} of ${mega(bytes)} MB.`;
  }

  /** Asks, and shows how far the machine is in the meantime.
   * @param {HTMLElement} place @param {string} call @param {any[]} args
   * @param {BookPage} [page] which has to be open for that */
  async function ask(place, call, args, page) {
    const { node, end } = stateLine();
    const stopping = new AbortController();
    const stop = make("button", { type: "button", onclick: () => stopping.abort() }, "Stop");
    node.append(" ", stop);
    place.append(node);
    const late = setTimeout(() => (node.hidden = false), 150); // most answers come before
    const opened = page && openPage(page);
    let answer = await globalThis.bookMachine.ask(call, args, { signal: stopping.signal });
    if (opened && answer.error && !answer.stopped) answer = { ...answer, ...failure(await opened) };
    clearTimeout(late);
    end();
    node.remove();
    return answer;
  }

  /** Why a page could not be opened, if so. @param {any} opened */
  const failure = ({ error, stopped }) => (error ? { error, stopped } : {});

  // --- Verdicts ------------------------------------------------------------------------------------

  const WORDS = {
    equal: "✓ ",
    compared: "✓ ",
    defined: "✓ ",
    different: "✗ ",
    refused: "✗ ",
    unreadable: "This cannot be read: ",
    undecided: "No verdict: ",
    stopped: "Stopped: ",
    error: "",
  };

  /** The name of an answer's verdict. @param {any} answer @returns {keyof typeof WORDS} */
  const kindOf = (answer) => (answer.stopped ? "stopped" : answer.error ? "error" : answer.verdict);

  /** Shows what the machine says of what was typed.
   * @param {HTMLElement} place @param {any} answer @param {string} typed @param {string} [right] */
  function showVerdict(place, answer, typed, right = "") {
    const kind = kindOf(answer);
    const message = answer.error ?? answer.message ?? right;
    const parts = [make("p", { className: "verdict-words" }, WORDS[kind], ...prose(message))];
    if (answer.place !== undefined) parts.push(markedPlace(typed, answer));
    if (answer.formulas) parts.push(...sides(answer));
    if (answer.at) parts.push(example(answer));
    place.replaceChildren(...parts);
    place.dataset.verdict = kind;
  }

  /** What was typed, with the place where reading ended. @param {string} typed @param {any} answer */
  function markedPlace(typed, { place, expected }) {
    const from = Math.max(0, place - 60);
    const there = typed.slice(place, place + 1) || "␣";
    const code = make("code", { className: "verdict-place" }, typed.slice(from, place));
    code.append(make("mark", {}, there), typed.slice(place + 1, place + 30));
    if (!expected?.length) return make("p", {}, code);
    return make("p", {}, code, make("br"), `Here could stand: ${expected.join("  ")}`);
  }

  const NAMES = { page: "yours", derived: "the cells", left: "left", right: "right", wanted: "it should be" };

  /** Both sides and their difference. @param {any} answer */
  function sides({ sides: names, formulas, difference }) {
    const rows = [names[0], names[1]].map((name, k) => [NAMES[/** @type {keyof typeof NAMES} */ (name)] ?? name, formulas[k]]);
    if (difference) rows.push(["difference", difference]);
    const shown = rows.filter(([, latex]) => latex);
    return shown.map(([name, latex]) =>
      make("div", { className: "verdict-side" }, make("span", {}, name), formula(latex)),
    );
  }

  /** Numbers at which they differ. @param {any} answer */
  function example({ at, values, sides: names = ["yours", "wanted"] }) {
    const places = at.flatMap((/** @type {string[]} */ [symbol, value], /** @type {number} */ k) => [
      k ? ", " : "",
      formula(`${symbol} = ${value}`),
    ]);
    const [one, other] = names.map((/** @type {string} */ name) => NAMES[/** @type {keyof typeof NAMES} */ (name)] ?? name);
    const end = `${one} ${short(values[0])}, ${other} ${short(values[1])}.`;
    if (!places.length) return make("p", {}, end);
    return make("p", {}, "With ", ...places, `: ${end}`);
  }

  /** 2.00000 as 2. @param {string} number */
  const short = (number) => (/^-?\d+\.\d+$/.test(number) ? String(Number(number)) : number);

  /** The chapter is open from then on. @param {BookPage} page */
  const openPage = (page) => globalThis.bookMachine.ask("open_page", [page.page]);

  return { make, setFormula, formula, prose, strange, ask, showVerdict, kindOf, openPage };
})();
