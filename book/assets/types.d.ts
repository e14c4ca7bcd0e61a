// What scripts of the book share, for the type checker: nothing of this is served.
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
  ask(call: string, args: unknown[], limits?: { seconds?: number }): Promise<any>;
  stop(): void;
  watch(listener: (news: { state: string; loaded: number; bytes: number; reason: string }) => void): () => void;
}

type BookViews = Record<string, any>;

declare var bookMachine: BookMachine;
declare var bookViews: BookViews;
declare var bookCommands: string[];
declare var bookProgress: { solved(): Record<string, true>; solve(what: string): void };
declare var MathJax: any;
