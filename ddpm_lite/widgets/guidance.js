import { COLOURS, button, canvas, choice, drag, endOf, flexed, flexible, follow, frame, h, legend, line, numbers, row, slider, spot, stateOf, tables, two } from "./shared.js";
import { arrow, border, dots, faintly, plane } from "./plane.js";
import { DRAWN, draw, lawAt, sample, scores, share, spread, spreadOf } from "./guidance_mixture.js";

/**
 * @typedef {import("./guidance_mixture.js").Class} Class
 * @typedef {import("./guidance_mixture.js").Centres} Centres
 * @typedef {{ asked: Class, w: number, t: number, x: number, y: number, seed: number }} Setting
 * @typedef {Setting & {
 *   centres: Centres, deviation: number, betas: number[], T: number, steps: number,
 *   limits: Record<"w" | "x" | "y", Interval>,
 * }} State
 * @typedef {ReturnType<typeof makeScene>} Scene
 */

const [WIDTH, HEIGHT] = [350, 330];
const KEYS = /** @type {const} */ (["asked", "w", "t", "x", "y", "seed"]);
const DOT_SEED = 5; // of the points of the classes themselves
const TRAILS = 12; // so many drawn points show how they came
const STEP = 44; // pixels between arrows
const INKS = { labelled: COLOURS[0], plain: COLOURS[5], guided: COLOURS[4], drawn: COLOURS[2] };

// All that follows from the state. Points are drawn anew only where something of theirs has changed.
/** @param {Model<State>} model */
function makeScene(model) {
  const classes = { centres: model.get("centres"), deviation: model.get("deviation") };
  const schedule = tables(model.get("betas"));
  /** @type {{ key: string, run: Float64Array[] } | undefined} */
  let kept;
  const run = () => {
    const { asked, w, seed } = stateOf(model, KEYS);
    const key = [asked, w, seed].join();
    const choices = { asked, w, seed, steps: model.get("steps") };
    if (kept?.key !== key) kept = { key, run: draw(classes, schedule, choices) };
    return kept.run;
  };
  const dotsOf = (/** @type {Class} */ name) => sample(classes, name, 120, DOT_SEED);
  return {
    classes,
    schedule,
    run,
    law: () => lawAt(classes, schedule, model.get("t")),
    points: { upper: dotsOf("upper"), lower: dotsOf("lower") },
  };
}

// --- Pictures --------------------------------------------------------------------------------------

// The points of both classes, those of the asked one in its colour.
/** @type {Paint<{ scene: Scene, asked: Class, signal: number }>} */
function paintClasses(context, width, height, colour, { scene, asked, signal }) {
  const view = plane(width, height);
  for (const name of /** @type {const} */ (["upper", "lower"]))
    faintly(context, name === asked ? 0.6 : 0.35, () =>
      dots(context, view, scene.points[name].map((v) => signal * v), 2.1, name === asked ? INKS.labelled : colour),
    );
  border(context, width, height, colour);
}

// At each place three arrows from one point. Their lengths grow slowly with the scores, measured by
// the noise they point against, so that the longest still fits.
/** @type {Paint<{ scene: Scene, setting: Setting }>} */
function paintArrows(context, width, height, colour, { scene, setting }) {
  const law = scene.law();
  const { asked, w, x, y } = setting;
  paintClasses(context, width, height, colour, { scene, asked, signal: law.signal });
  const view = plane(width, height);
  const three = (/** @type {Place} */ [px, py], /** @type {number} */ reach, /** @type {number} */ thick) => {
    const found = scores(law, asked, w, ...view.from(px, py));
    for (const name of /** @type {const} */ (["plain", "labelled", "guided"])) {
      const [sx, sy] = found[name];
      const size = Math.hypot(sx, sy) * Math.sqrt(law.variance);
      const length = (reach * Math.tanh(size / 3)) / (Math.hypot(sx, sy) || 1);
      arrow(context, [px, py], [sx * length, -sy * length], INKS[name], thick);
    }
  };
  const [offX, offY] = [width, height].map((size) => ((size % STEP) + STEP) / 2);
  for (let py = offY; py < height; py += STEP)
    for (let px = offX; px < width; px += STEP) three([px, py], STEP * 0.8, 1.25);
  three(view.to(x, y), 2 * STEP, 3);
  spot(context, ...view.to(x, y), 4.5, colour);
}

// The points that were drawn, and the ways of some.
/** @type {Paint<{ scene: Scene, asked: Class }>} */
function paintDrawn(context, width, height, colour, { scene, asked }) {
  paintClasses(context, width, height, colour, { scene, asked, signal: 1 });
  const view = plane(width, height);
  const run = scene.run();
  faintly(context, 0.6, () => {
    for (let k = 0; k < TRAILS; k++)
      line(context, run.map((x) => view.to(x[2 * k], x[2 * k + 1])), INKS.drawn, 1);
  });
  dots(context, view, run[run.length - 1], 2.4, INKS.drawn);
}

/** @param {Model<State>} model @param {Scene} scene */
function makePictures(model, scene) {
  const size = { width: WIDTH, height: HEIGHT };
  const arrows = canvas({
    ...size,
    label: "The noisy points of both classes, and on a grid the arrows with the label, without it, and guided",
    draw: (context, width, height, colour) =>
      paintArrows(context, width, height, colour, { scene, setting: stateOf(model, KEYS) }),
  });
  const drawn = canvas({
    ...size,
    label: "The points of both classes, those that are drawn with guidance, and the ways of some from noise",
    draw: (context, width, height, colour) =>
      paintDrawn(context, width, height, colour, { scene, asked: model.get("asked") }),
  });
  return { arrows, drawn };
}

// --- Controls and numbers --------------------------------------------------------------------------

/** @param {Model<State>} model @param {Put<State>} put */
function makeKnobs(model, put) {
  const value = stateOf(model, KEYS);
  const limited = (/** @type {"w" | "x" | "y"} */ key, /** @type {string} */ label, /** @type {number} */ step) => {
    const [min, max] = model.get("limits")[key];
    const change = (/** @type {number} */ to) => put({ [key]: to });
    return slider({ label, name: key, min, max, step, value: value[key], show: two, change });
  };
  return {
    asked: choice({
      label: "class",
      name: "asked",
      options: [["upper", "upper arc"], ["lower", "lower arc"]],
      value: value.asked,
      change: (asked) => put({ asked: /** @type {Class} */ (asked) }),
    }),
    w: limited("w", "guidance w", 0.1),
    t: slider({
      label: "time t",
      name: "t",
      min: 1,
      max: model.get("T"),
      step: 1,
      value: value.t,
      change: (t) => put({ t }),
    }),
    x: limited("x", "arrows read at x", 0.01),
    y: limited("y", "y", 0.01),
  };
}

function makeNumbers() {
  const drawn = numbers({
    share: "of those drawn, in their class",
    spread: "their spread",
    class_spread: "that of the class",
  });
  const arrows = numbers({
    labelled_x: "with the label x",
    labelled_y: "y",
    plain_x: "without x",
    plain_y: "y",
    guided_x: "guided x",
    guided_y: "y",
  });
  arrows.removeAttribute("role"); // while a hand moves, only what was drawn speaks
  return { drawn, arrows };
}

/** @param {Scene} scene @param {Setting} setting */
function measured(scene, { asked, w, x, y }) {
  const found = scores(scene.law(), asked, w, x, y);
  const end = scene.run()[scene.run().length - 1];
  return {
    arrows: {
      labelled_x: found.labelled[0],
      labelled_y: found.labelled[1],
      plain_x: found.plain[0],
      plain_y: found.plain[1],
      guided_x: found.guided[0],
      guided_y: found.guided[1],
    },
    drawn: {
      share: share(scene.classes, scene.schedule, asked, end),
      spread: spread(end),
      class_spread: spreadOf(scene.classes, asked),
    },
  };
}

// --- Put together ----------------------------------------------------------------------------------

/** @param {View<State>} view */
function render({ model, el }) {
  const scene = makeScene(model);
  const { arrows, drawn } = makePictures(model, scene);
  const shown = makeNumbers();
  const refresh = () => {
    for (const key of /** @type {const} */ (["w", "t", "x", "y"])) knobs[key].set(model.get(key));
    knobs.asked.set(model.get("asked"));
    const found = measured(scene, stateOf(model, KEYS));
    shown.arrows.set(found.arrows);
    shown.drawn.set(found.drawn);
    arrows.redraw();
    drawn.redraw();
  };
  const put = follow(model, KEYS, refresh);
  const knobs = makeKnobs(model, put);
  const again = button("new noise", () => put({ seed: model.get("seed") + 1 }), "again");
  const inside = (/** @type {number} */ value) => Math.min(3, Math.max(-3, Math.round(value * 100) / 100));
  drag(
    arrows,
    (px, py) => {
      const [x, y] = plane(arrows.clientWidth, HEIGHT).to(model.get("x"), model.get("y"));
      return { loose: Math.hypot(px - x, py - y) > 18 };
    },
    (_, px, py) => {
      const [x, y] = plane(arrows.clientWidth, HEIGHT).from(px, py).map(inside);
      put({ x, y });
    },
  );
  const titled = (/** @type {string} */ text, /** @type {Picture} */ picture) =>
    flexible(h("div", {}, h("p", { className: "w-note" }, text), picture), 300, 1);
  frame(el, model).append(
    row(knobs.asked, knobs.w, again),
    row(knobs.t, knobs.x, knobs.y),
    flexed(titled("Arrows at time t", arrows), titled("Drawn with them, from T to 0", drawn)),
    legend([
      [INKS.labelled, "with the label, its class"],
      [INKS.plain, "without the label"],
      [INKS.guided, "guided"],
      [INKS.drawn, `${DRAWN} drawn points`],
    ]),
    shown.drawn,
    shown.arrows,
  );
  refresh();
  return endOf(put, arrows, drawn);
}

export default { render };
