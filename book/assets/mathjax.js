// How MathJax starts, before it does: `_config.yml` has the rest of its settings, which are no code.
"use strict";

const settings = (window.MathJax ??= {}); // of Sphinx, on a page with formulas
const parsed = new Promise((done) => document.addEventListener("DOMContentLoaded", done)); // all scripts ran
const mathJax = () => /** @type {any} */ (window.MathJax);

Object.assign(settings, {
  startup: {
    ready() {
      delete mathJax().config.options.menuOptions; // for a menu that is not there, which it warns of
      mathJax().startup.defaultReady();
    },
    // Widths are measured in the letters of the page, and with the folds open that book.js opens.
    pageReady: () => Promise.all([parsed, document.fonts.ready]).then(() => mathJax().startup.defaultPageReady()),
  },
});
