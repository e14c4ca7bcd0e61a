// Stands in for a notebook's widget manager: the model that anywidget's render() expects.
/** @param {Record<string, unknown>} state @returns {Model<any>} */
function makeModel(state) {
  /** @type {Record<string, Heard[]>} */
  const listeners = {};
  const tell = (/** @type {string} */ name, /** @type {unknown[]} */ ...rest) =>
    (listeners[name] ?? []).slice().forEach((f) => f(...rest));
  return {
    get: (key) => state[String(key)],
    set(name, value) {
      const key = String(name);
      if (state[key] === value) return;
      state[key] = value;
      tell("change:" + key, null, value);
    },
    save_changes: () => tell("change"),
    on: (name, f) => void (listeners[name] ??= []).push(f),
    off(name, f) {
      listeners[name] = f ? (listeners[name] ?? []).filter((g) => g !== f) : [];
    },
    send() {}, // there is no kernel
  };
}

// Every element of this id that has not begun: a notebook may show one output twice.
/** @param {string} id @param {Body} body */
// oxlint-disable-next-line no-unused-vars -- base.py writes the call below this text
function start(id, body) {
  /** @type {NodeListOf<HTMLElement>} */
  const waiting = document.querySelectorAll(`#${id}:not([data-started])`);
  for (const el of waiting) {
    el.dataset.started = "true";
    show(el, body);
  }
}

/** @typedef {{ module: string, state: Record<string, unknown> }} Body */

/** @param {HTMLElement} el @param {Body} body */
async function show(el, { module, state }) {
  const url = URL.createObjectURL(new Blob([module], { type: "text/javascript" }));
  try {
    const widget = (await import(url)).default;
    el.replaceChildren();
    await widget.render({ model: makeModel(state), el });
    el.dataset.ready = "true";
  } catch (error) {
    el.textContent = `This widget could not start: ${error instanceof Error ? error.message : error}`;
  } finally {
    URL.revokeObjectURL(url);
  }
}
