// Stands in for a notebook's widget manager: the model that anywidget's render() expects.
function makeModel(state) {
  const listeners = {};
  const tell = (name, ...rest) => (listeners[name] ?? []).slice().forEach((f) => f(...rest));
  return {
    get: (key) => state[key],
    set(key, value) {
      if (state[key] === value) return;
      state[key] = value;
      tell("change:" + key, null, value);
    },
    save_changes: () => tell("change"),
    on: (name, f) => (listeners[name] ??= []).push(f),
    off(name, f) {
      listeners[name] = f ? (listeners[name] ?? []).filter((g) => g !== f) : [];
    },
  };
}

// Every element of this id that has not begun: a notebook may show one output twice.
function start(id, body) {
  for (const el of document.querySelectorAll(`#${id}:not([data-started])`)) {
    el.dataset.started = "true";
    show(el, body);
  }
}

async function show(el, { module, state }) {
  const url = URL.createObjectURL(new Blob([module], { type: "text/javascript" }));
  try {
    const widget = (await import(url)).default;
    el.replaceChildren();
    await widget.render({ model: makeModel(state), el });
    el.dataset.ready = "true";
  } catch (error) {
    el.textContent = `This widget could not start: ${error.message}`;
  } finally {
    URL.revokeObjectURL(url);
  }
}
