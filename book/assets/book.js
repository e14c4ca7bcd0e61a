// What scrolls in its own box can be reached by the keyboard: a box takes the focus as long as it
// holds more than it shows. (The theme does so for code alone, and a while after a change.)
const BOXES = 'mjx-container[display="true"], span.math, .book-formula, .book-claims td p, table.table, pre';

const watch = new ResizeObserver((entries) => {
  for (const entry of entries) {
    const target = /** @type {HTMLElement} */ (entry.target);
    if (target.scrollWidth > target.clientWidth + 1) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});

// What MathJax cannot break, as a long fraction, is set a little smaller; if that is not enough it
// keeps its size and scrolls.
const SMALLEST = 0.85;

/** @param {Document | Element} part of the page */
function fit(part) {
  /** @type {NodeListOf<HTMLElement>} */
  const found = part.querySelectorAll('mjx-container[display="true"]');
  const shares = [...found].map((formula) => formula.clientWidth / formula.scrollWidth); // one layout
  found.forEach(({ style }, k) => {
    if (shares[k] < 1 && shares[k] >= SMALLEST) {
      const size = parseFloat(style.fontSize) || 100;
      style.fontSize = `${Math.floor(10 * size * shares[k] - 5) / 10}%`;
    }
  });
}

/** @param {Document | Element} part of the page */
function settle(part) {
  fit(part);
  part.querySelectorAll(BOXES).forEach((box) => watch.observe(box));
}

// MathJax breaks a displayed formula to the room that it has. So all are broken anew when one has
// another: the phone was turned, or what held it was folded and had none.
const FROM_ROOM = 110; // MathJax's STATE.METRICS: measure the boxes, then set what stands in them

/** @returns {number[]} how much room each displayed formula has, 0 where it is folded away */
function rooms() {
  const formulas = document.querySelectorAll('mjx-container[display="true"]');
  return [...formulas].map((formula) => formula.parentElement?.parentElement?.clientWidth ?? 0);
}

/** @type {number[]} */
let broken = [];

async function rebreak() {
  const now = rooms();
  if (now.every((width, k) => width === 0 || width === broken[k])) return;
  broken = now;
  await window.MathJax?.startup?.document?.rerenderPromise(FROM_ROOM);
  settle(document);
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let waiting;

function rebreakSoon() {
  clearTimeout(waiting);
  waiting = setTimeout(rebreak, 100); // once, at the end of a drag
}

window.addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  broken = rooms();
  settle(document);
  if (!left) aim()?.scrollIntoView({ behavior: "instant" });
  document.addEventListener("book:formulas", ({ target }) => settle(/** @type {Element} */ (target))); // more are set there
  window.addEventListener("resize", rebreakSoon);
  document.addEventListener("toggle", rebreakSoon, true); // a fold, which a click, a link or a search opens
  document.addEventListener("click", ({ target }) => {
    if (target instanceof Element && target.closest(".toggle")) rebreakSoon();
  });
});

// The theme names this button "Search", while it reads "Search Ctrl + K": let the words be the name.
document.querySelectorAll(".search-button-field").forEach((b) => b.removeAttribute("aria-label"));

// The theme's buttons in the header: the page's policy allows no handlers in its text, and so
// book/_ext/book_policy.py has put names in their place.
/** @type {NodeListOf<HTMLElement>} */
const named = document.querySelectorAll("[data-click]");
for (const button of named) {
  button.addEventListener("click", () => /** @type {any} */ (globalThis)[button.dataset.click ?? ""]());
}

// A link to something that is folded opens the folds around it: at once, because MathJax breaks a
// formula to the room that it finds.
const aim = () => document.getElementById(decodeURIComponent(location.hash.slice(1)));

function reveal() {
  let fold = aim()?.closest("details:not([open])");
  if (!fold) return;
  for (; fold; fold = fold.parentElement?.closest("details:not([open])")) fold.setAttribute("open", "");
  aim()?.scrollIntoView({ behavior: "instant" });
}
window.addEventListener("hashchange", reveal);
reveal();

// Formulas that are set above what a link leads to move it: it is gone to once more when all stand,
// unless the reader went elsewhere meanwhile.
let left = false;
for (const sign of ["wheel", "touchmove", "keydown", "pointerdown"]) {
  window.addEventListener(sign, () => (left = true), { once: true, passive: true });
}

// On paper the folded proofs and sections are open.
window.addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll(".proof-code, .more-section")) fold.setAttribute("open", "");
});
