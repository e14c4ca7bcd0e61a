// What scrolls in its own box can be reached by the keyboard: a box takes the focus as long as it
// holds more than it shows. (The theme does so for code alone, and a while after a change.)
const BOXES = 'mjx-container[display="true"], .proof-line .math, .book-formula, table.table, pre';

const watch = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    if (target.scrollWidth > target.clientWidth + 1) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});

window.addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  document.querySelectorAll(BOXES).forEach((box) => watch.observe(box));
});

// The theme names this button "Search", while it reads "Search Ctrl + K": let the words be the name.
document.querySelectorAll(".search-button-field").forEach((b) => b.removeAttribute("aria-label"));
