// The map of proof: a point for each formula, a line where one rests on another. What is drawn, and
// in which order, stands on the page already: numbers and links in the list, the rest as JSON.
(() => {
  /**
   * @typedef {{
   *   kind: string, method: string, latex: string, restsOn: string[], drawn: string[],
   *   number: string, href: string,
   * }} Formula
   */

  const place = byId("book-map");
  /** @type {Record<string, Formula>} */
  const formulas = JSON.parse(byId("book-map-data").textContent);
  const labels = Object.keys(formulas);
  const chapters = readChapters();
  const fallsWith = reversed();
  const above = closure((label) => formulas[label].restsOn);
  const below = closure((label) => fallsWith[label]);
  let chosen = ""; // a label, once one is chosen
  /** @type {import("cytoscape").Core | null} */
  let graph = null;

  // --- What the page knows ---------------------------------------------------------------------

  /** @param {string} id */
  function byId(id) {
    return /** @type {HTMLElement} */ (document.getElementById(id));
  }

  function readChapters() {
    return [...document.querySelectorAll(".book-map-chapter")].map((title) => {
      const items = [...(title.nextElementSibling?.querySelectorAll("li") ?? [])];
      for (const item of items) {
        const link = /** @type {HTMLAnchorElement} */ (item.querySelector("a"));
        Object.assign(formulas[item.id], { number: link.textContent, href: link.href });
      }
      return { title: title.textContent, labels: items.map((item) => item.id) };
    });
  }

  function reversed() {
    /** @type {Record<string, string[]>} */
    const back = Object.fromEntries(labels.map((label) => [label, []]));
    for (const label of labels) for (const ground of formulas[label].restsOn) back[ground].push(label);
    return back;
  }

  // All that can be reached, without the start.
  /** @param {(label: string) => string[]} next */
  function closure(next) {
    return (/** @type {string} */ start) => {
      /** @type {Set<string>} */
      const seen = new Set();
      const waiting = [...next(start)];
      for (let label = waiting.pop(); label !== undefined; label = waiting.pop()) {
        if (seen.has(label)) continue;
        seen.add(label);
        waiting.push(...next(label));
      }
      seen.delete(start);
      return labels.filter((label) => seen.has(label));
    };
  }

  // --- Pieces of the page ----------------------------------------------------------------------

  /**
   * @template {keyof HTMLElementTagNameMap} Tag
   * @param {Tag} tag
   * @param {Partial<HTMLElementTagNameMap[Tag]>} attributes
   * @param {(string | Node)[]} inside
   * @returns {HTMLElementTagNameMap[Tag]}
   */
  function make(tag, attributes = {}, ...inside) {
    const node = Object.assign(document.createElement(tag), attributes);
    node.append(...inside);
    return node;
  }

  const select = make("select", { id: "book-map-select", onchange: () => go(select.value) });
  for (const { title, labels: own } of chapters) {
    const options = own.map((label) => make("option", { value: label }, nameOf(label)));
    select.append(make("optgroup", { label: title }, ...options));
  }
  // The library only draws, inside, where no event reaches it: it would keep a finger from scrolling.
  const drawing = make("div", { className: "book-map-drawing" });
  const canvas = make("div", { className: "book-map-graph", tabIndex: 0 }, drawing);
  canvas.setAttribute("role", "group");
  canvas.setAttribute("aria-label", "Map of formulas; the arrow keys go from one to the next");
  const caption = make("div", { className: "book-map-caption" });
  const panel = make("div", { className: "book-map-panel" });
  const status = make("div", { className: "book-map-status" });
  status.setAttribute("aria-live", "polite");
  place.append(
    make("p", { className: "book-map-choice" }, make("label", { htmlFor: select.id }, "Formula "), select,
      step("‹", "Previous formula", -1), step("›", "Next formula", 1)),
    canvas, caption, panel, status,
  );

  /** @param {string} text @param {string} name @param {number} by */
  function step(text, name, by) {
    const button = make("button", { type: "button", onclick: () => move(by) }, text);
    button.setAttribute("aria-label", name);
    return button;
  }

  /** @param {string} label */
  function nameOf(label) {
    return `${formulas[label].number} ${label.replace(/^eq-/, "").replaceAll("-", " ")}`;
  }

  /** @param {string} label */
  function walk(label) {
    return make("a", { href: `#${label}`, title: nameOf(label) }, formulas[label].number);
  }

  /** @param {string} label */
  function formula(label) {
    const { latex } = formulas[label];
    const text = latex.includes("\\begin{") ? `\\[${latex}\\]` : `\\(${latex}\\)`; // rows break only where they are displayed
    return make("span", { className: "math notranslate nohighlight" }, text);
  }

  const SHOWN = 8; // formulas in a list; the others by their numbers

  /** @param {string} title @param {string[]} direct @param {string[]} all @param {string} none */
  function list(title, direct, all, none) {
    const heading = make("h2", {}, title);
    if (!all.length) return [heading, make("p", {}, none)];
    const rows = direct.slice(0, SHOWN).map((label) => make("li", {}, walk(label), " ", formula(label)));
    const parts = [heading, make("ul", { className: "book-map-formulas" }, ...rows)];
    const others = direct.slice(SHOWN);
    const further = all.filter((label) => !direct.includes(label));
    if (others.length) parts.push(numbers("and", others));
    if (further.length) parts.push(numbers("By way of these:", further));
    return parts;
  }

  /** @param {string} words @param {string[]} some */
  function numbers(words, some) {
    return make("p", {}, `${words} `, ...some.flatMap((label) => [walk(label), " "]));
  }

  // --- Choosing --------------------------------------------------------------------------------

  /** @param {string} label */
  function go(label) {
    if (label !== location.hash.slice(1)) history.pushState(null, "", `#${label}`);
    show(label);
  }

  /** @param {number} by */
  function move(by) {
    const last = labels.length - 1;
    go(labels[Math.min(last, Math.max(0, labels.indexOf(chosen) + by))]);
  }

  /** @param {string} label */
  async function show(label) {
    if (!formulas[label] || label === chosen) return;
    chosen = label;
    select.value = label;
    const { number, href, kind, method, restsOn } = formulas[label];
    const [ground, falls] = [above(label), below(label)];
    const words = [`rests on ${count(ground)}`, `${count(falls)} ${falls.length === 1 ? "rests" : "rest"} on it`];
    caption.replaceChildren(
      make("p", {}, make("strong", {}, number), ` ${kind}, `, mark("ground", "●"), ` ${words[0]}, `,
        mark("falls", "○"), ` ${words[1]}. `, make("a", { href }, "Open it in its chapter"), "."),
      formula(label),
    );
    panel.replaceChildren(
      ...(method ? [make("p", { className: "book-map-method" }, `How it was checked: ${method}.`)] : []),
      ...list("What it rests on", restsOn, ground, groundless(kind)),
      ...list("What would fall with it", fallsWith[label], falls, "Nothing else in the book rests on it."),
    );
    status.textContent = `${nameOf(label)}: ${words.join(", ")}`;
    colour(label);
    await window.MathJax?.startup?.promise;
    if (chosen !== label) return; // the reader has gone on
    window.MathJax?.typesetClear?.([caption, panel]);
    await window.MathJax?.typesetPromise?.([caption, panel]);
    document.dispatchEvent(new Event("book:formulas"));
  }

  /** @param {string[]} some */
  function count(some) {
    return `${some.length || "no"} formula${some.length === 1 ? "" : "s"}`;
  }

  /** @param {string} way @param {string} sign */
  function mark(way, sign) {
    return make("span", { className: `book-map-${way}` }, sign);
  }

  /** @param {string} kind */
  function groundless(kind) {
    if (kind === "definition") return "Nothing: it says what a symbol means.";
    if (kind === "cited") return "A theorem that the book cites and does not prove.";
    return "Nothing but the rules of algebra: it holds for all values of its symbols.";
  }

  // --- Drawing ---------------------------------------------------------------------------------

  /** @type {Record<string, "round-rectangle" | "triangle">} */
  const SHAPES = { definition: "round-rectangle", cited: "triangle" };

  function elements() {
    const points = labels.map((id) => ({
      data: { id, shape: SHAPES[formulas[id].kind] ?? "ellipse" },
    }));
    const lines = labels.flatMap((target) =>
      formulas[target].drawn.map((source) => ({ data: { source, target } })));
    const titles = chapters.map(({ title }, k) => ({
      data: { id: `chapter ${k}`, title }, classes: "chapter", selectable: false,
    }));
    return [...titles, ...points, ...lines];
  }

  // Chapters below each other, their formulas in rows as wide as the page.
  /** @param {number} width */
  function positions(width) {
    const gap = width < 500 ? 19 : 24;
    const columns = Math.max(1, Math.floor((width - 12) / gap));
    /** @type {Record<string, { x: number, y: number }>} */
    const at = {};
    let y = 14;
    chapters.forEach(({ labels: own }, k) => {
      at[`chapter ${k}`] = { x: 4, y };
      own.forEach((label, n) => {
        at[label] = { x: 12 + (n % columns) * gap, y: y + 22 + Math.floor(n / columns) * gap };
      });
      y += 22 + Math.ceil(own.length / columns) * gap + 14;
    });
    return { at, height: y, columns };
  }

  function inks() {
    const style = getComputedStyle(document.documentElement);
    const ink = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    return {
      text: ink("--pst-color-text-base"), quiet: ink("--book-quiet"), ground: ink("--pst-color-primary"),
      falls: ink("--book-falls"), page: ink("--pst-color-background"), font: ink("--pst-font-family-base"),
    };
  }

  function looks() {
    const { text, quiet, ground, falls, page, font } = inks();
    const at = (/** @type {string} */ selector, /** @type {object} */ style) => ({ selector, style });
    return [
      at("node", { width: 11, height: 11, shape: "data(shape)", "background-color": quiet,
        "border-width": 1.5, "border-color": quiet, "overlay-opacity": 0 }),
      at("node.chapter", { label: "data(title)", "text-halign": "right", "text-valign": "center",
        width: 1, height: 1, "background-opacity": 0, "border-width": 0, color: text, shape: "ellipse",
        "font-size": 13, "font-family": font, "z-index": 0,
        "text-background-color": page, "text-background-opacity": 0.8 }),
      at("edge", { width: 1, "line-color": quiet, opacity: 0.12, "curve-style": "straight",
        "overlay-opacity": 0 }),
      at("node.other", { opacity: 0.3 }),
      at("edge.other", { opacity: 0 }),
      at(".ground", { "background-color": ground, "border-color": ground, "line-color": ground }),
      at(".falls", { "background-color": page, "border-color": falls, "border-width": 3,
        "line-color": falls }),
      at("edge.ground, edge.falls", { opacity: 0.55, width: 1.5 }),
      at("node.chosen", { width: 17, height: 17, "background-color": text, "border-color": page }),
    ];
  }

  /** @param {string} label */
  function colour(label) {
    const drawn = graph; // nothing sets it to null again
    if (!drawn) return;
    const ways = { ground: new Set([...above(label), label]), falls: new Set([...below(label), label]) };
    drawn.batch(() => {
      drawn.elements().removeClass("ground falls chosen other");
      drawn.nodes().not(".chapter").addClass("other");
      drawn.edges().addClass("other");
      for (const [way, some] of Object.entries(ways)) {
        const nodes = drawn.nodes().filter((node) => some.has(node.id()));
        nodes.removeClass("other").addClass(way);
        nodes.edgesWith(nodes).removeClass("other").addClass(way);
      }
      drawn.getElementById(label).removeClass("ground falls").addClass("chosen");
    });
  }

  function layOut() {
    if (!graph) return;
    const { at, height } = positions(canvas.clientWidth);
    canvas.style.height = `${height}px`;
    graph.resize();
    graph.layout({ name: "preset", fit: false, positions: at }).run();
    graph.viewport({ zoom: 1, pan: { x: 0, y: 0 } });
  }

  function draw() {
    if (!window.cytoscape) return;
    graph = window.cytoscape({
      container: drawing, elements: elements(), style: looks(), layout: { name: "null" },
      userZoomingEnabled: false, userPanningEnabled: false, boxSelectionEnabled: false,
    });
    layOut();
    colour(chosen);
    canvas.addEventListener("click", (event) => {
      const label = near(event);
      if (label) go(label);
    });
    canvas.addEventListener("mousemove", (event) => {
      const label = near(event);
      canvas.title = label ? nameOf(label) : "";
      canvas.style.cursor = label ? "pointer" : "";
    });
    new ResizeObserver(layOut).observe(place);
    new MutationObserver(() => graph?.style(looks())).observe(document.documentElement, {
      attributes: true, attributeFilter: ["data-theme"],
    });
  }

  // The formula under a mouse or a finger, which is less exact than a point is small.
  /** @param {MouseEvent} event */
  function near({ clientX, clientY }) {
    const box = canvas.getBoundingClientRect();
    const { at } = positions(canvas.clientWidth);
    const away = (/** @type {string} */ label) =>
      Math.hypot(box.x + at[label].x - clientX, box.y + at[label].y - clientY);
    const nearest = labels.reduce((one, other) => (away(other) < away(one) ? other : one));
    return away(nearest) < 14 ? nearest : null;
  }

  canvas.addEventListener("keydown", (event) => {
    const row = positions(canvas.clientWidth).columns;
    const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row }[event.key] ?? 0;
    if (!by) return;
    event.preventDefault();
    move(by);
  });
  const chooseByAddress = () => show(location.hash.slice(1));
  window.addEventListener("hashchange", chooseByAddress);
  window.addEventListener("popstate", chooseByAddress);
  if (window.cytoscape) window.addEventListener("load", draw); // the theme has its colours by then
  else canvas.remove(); // a build without npm: the lists remain
  show(formulas[location.hash.slice(1)] ? location.hash.slice(1) : firstAsked());

  // From here on an address with a formula means the map, and no longer the place in the list.
  document.querySelectorAll(".book-map-list li").forEach((item) => item.removeAttribute("id"));
  /** @type {HTMLDetailsElement} */ (byId("book-map-words")).open = false;
  if (formulas[location.hash.slice(1)]) window.addEventListener("load", () => place.scrollIntoView());

  function firstAsked() {
    /** @type {HTMLAnchorElement | null} */
    const question = document.querySelector(".book-map-questions a");
    return question?.hash.slice(1) ?? labels[0];
  }
})();
