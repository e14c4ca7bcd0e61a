// What other scripts of a page put there, for the type checker alone.

/** MathJax, once it has started; not there on a page without formulas. */
declare var MathJax:
  | {
      startup?: {
        promise?: Promise<void>;
        /** The formulas of the page, each with its LaTeX and its place. */
        document?: {
          math: Iterable<{ math: string; typesetRoot: Node | null }>;
          reset(): void;
          updateDocument(): void;
          rerenderPromise(start: number): Promise<void>;
        };
      };
      /** Also how wide a formula may become there. */
      getMetricsFor?(node: Element, display: boolean): object;
      tex2chtmlPromise?(latex: string, how: { display: boolean }): Promise<HTMLElement>;
      typesetClear?(within: Element[]): void;
      typesetPromise?(within: Element[]): Promise<void>;
    }
  | undefined;

/** The library of the map; not there where the book was built without npm. */
declare var cytoscape: typeof import("cytoscape") | undefined;

// --- The proof machine ---------------------------------------------------------------------------

interface BookPage {
  /** The chapter's file name; empty on a page without proofs. */
  page: string;
  /** Numbers of the cells that can run in the browser. */
  cells: number[];
  /** LaTeX, and how it is typed as in Python. */
  symbols: [string, string][];
  /** All chapters, on a page that is none. */
  chapters: string[];
}

interface BookMachine {
  ask(call: string, args: unknown[], limits?: { seconds?: number; signal?: AbortSignal }): Promise<any>;
  watch(listener: (news: { state: string; loaded: number; bytes: number; reason: string }) => void): () => void;
}

type BookViews = Record<string, any>;

declare var bookMachine: BookMachine;
declare var bookViews: BookViews;
declare var bookCommands: string[];
declare var bookProgress: { solved(): Record<string, true>; solve(what: string): void };
