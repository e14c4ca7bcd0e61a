// What widgets pass to each other, for the type checker alone: no browser reads this.

/** A notebook's widget manager, or shim.js in its place: the state S, and who hears of changes. */
interface Model<S> {
  get<K extends keyof S>(key: K): S[K];
  set<K extends keyof S>(key: K, value: S[K]): void;
  save_changes(): void;
  on(event: string, heard: Heard): void;
  off(event: string, heard: Heard): void;
  send(content: object, callbacks: undefined, buffers: ArrayBufferLike[]): void;
}

/** anywidget gives each event arguments of its own. */
type Heard = (...news: any[]) => void;

/** What anywidget hands to `render`. A live widget's state has its description too. */
interface View<S> {
  model: Model<S & { description?: string }>;
  el: HTMLElement;
}

/** Changes the state; `end` stops listening to it. */
interface Put<S> {
  (changes: Partial<S>): void;
  end(): void;
}

type Context = CanvasRenderingContext2D;
type Place = [x: number, y: number];
type Interval = readonly [low: number, high: number];
type Scale = (value: number) => number;

/** Draws a picture of this size, with lines and letters in the colour `ink`. */
type Draw = (context: Context, width: number, height: number, ink: string) => void;

/** The same for a picture that shows a state. */
type Paint<S> = (context: Context, width: number, height: number, ink: string, state: S) => void;

/** A canvas of shared.js. */
type Picture = HTMLCanvasElement & { redraw(): void; end(): void };

/** A labelled slider, and a labelled choice, of shared.js. */
type Slider = HTMLLabelElement & { input: HTMLInputElement; set(value: number): void };
type Choice = HTMLLabelElement & { select: HTMLSelectElement; set(value: string | number): void };

/** Numbers beside a picture: those with the names K. */
type Numbers<K extends string> = HTMLDivElement & {
  set(values: Partial<Record<K, number | string>>): void;
};

/** A schedule as shared.js makes it; time t lies at index t - 1. */
interface Tables {
  T: number;
  beta: number[];
  alpha: number[];
  alphaBar: number[];
  oneMinusAlphaBar: number[];
  snr: number[];
}

/** The numbers of an image or of another thing that is noised. */
type Values = Float32Array | Float64Array | number[];

/** What Sphinx says of a page. */
declare var DOCUMENTATION_OPTIONS: { URL_ROOT: string } | undefined;

/** Files beside a page that was opened from a disk, in base64: book/_ext/book_offline.py. */
declare var bookFiles: Record<string, string> | undefined;
