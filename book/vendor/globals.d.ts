// What other scripts of a page put there, for the type checker alone.

/** MathJax, once it has started; not there on a page without formulas. */
declare var MathJax:
  | {
      startup?: { promise?: Promise<void> };
      typesetClear?(within: Element[]): void;
      typesetPromise?(within: Element[]): Promise<void>;
    }
  | undefined;

/** The library of the map; not there where the book was built without npm. */
declare var cytoscape: typeof import("cytoscape") | undefined;
