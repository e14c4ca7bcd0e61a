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

// A displayed formula that is a little too wide for its column is set a little smaller; one that is
// far too wide, on a phone, keeps its size and scrolls.
const SMALLEST = 0.78;

/** @param {Document | Element} part of the page */
function fit(part) {
  /** @type {NodeListOf<HTMLElement>} */
  const found = part.querySelectorAll('mjx-container[display="true"]');
  const formulas = [...found];
  for (const { style } of formulas) style.removeProperty("--fit");
  const shares = formulas.map((formula) => formula.clientWidth / formula.scrollWidth); // one layout
  formulas.forEach(({ style }, k) => {
    const share = shares[k];
    if (share < 1 && share >= SMALLEST) style.setProperty("--fit", String(Math.floor(100 * share - 1) / 100));
  });
}

/** @param {Document | Element} part of the page */
function settle(part) {
  fit(part);
  part.querySelectorAll(BOXES).forEach((box) => watch.observe(box));
}

window.addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  settle(document);
  document.addEventListener("book:formulas", ({ target }) => settle(/** @type {Element} */ (target))); // more are set there
  window.addEventListener("resize", () => fit(document));
  const refit = () => requestAnimationFrame(() => fit(document)); // what was folded had no size
  document.addEventListener("toggle", refit, true); // a fold, which a click, a link or a search opens
  document.addEventListener("click", ({ target }) => {
    if (target instanceof Element && target.closest(".toggle")) refit();
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

// A link to something that is folded opens the folds around it.
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  let fold = target?.closest("details:not([open])");
  if (!fold) return;
  for (; fold; fold = fold.parentElement?.closest("details:not([open])")) fold.setAttribute("open", "");
  target?.scrollIntoView();
}
window.addEventListener("hashchange", reveal);
window.addEventListener("load", reveal);

// On paper the folded proofs and sections are open.
window.addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll(".proof-code, .more-section")) fold.setAttribute("open", "");
});
