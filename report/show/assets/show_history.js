// SPDX-License-Identifier: GPL-2.0-only
// A world's states, built from what each step changed. A state is computed when it is looked at,
// from the nearest one before it that is still known.
//
//   world.at(index)  the state after a frame: {frame, scene, before, gone, changes}
//   world.indexOf(step), world.stepAt(index)
const makeWorld = (() => {
  const KEPT_EVERY = 32;

  function base(data) {
    const scene = new Map(Object.entries(data.base).map(([id, view]) => [id, { id, ...view }]));
    const gone = new Map(
      Object.entries(data.gone || {}).map(([id, view]) => [id, { id, ...view }]),
    );
    return { scene, gone };
  }

  // Fields as a step left them; of a list, a step says what is between a head and a tail it had.
  function merged(old, fields) {
    const view = { ...old };
    for (const [name, value] of Object.entries(fields)) {
      if (value === null || typeof value !== "object" || Array.isArray(value)) {
        view[name] = value;
      } else {
        const was = old[name];
        const tail = value.tail ? was.slice(-value.tail) : [];
        view[name] = [...was.slice(0, value.head), ...value.between, ...tail];
      }
    }
    return view;
  }

  function after(state, frame) {
    const scene = new Map(state.scene);
    const gone = new Map(state.gone);
    const changes = new Map();
    for (const [id, fields] of Object.entries(frame.set || {})) {
      const old = scene.get(id);
      changes.set(id, old ? "changed" : "new");
      scene.set(id, merged(old || { id }, fields));
    }
    for (const id of frame.gone || []) {
      gone.set(id, scene.get(id));
      scene.delete(id);
      changes.set(id, "freed");
    }
    return { frame, scene, gone, changes, before: state.scene };
  }

  return (data) => {
    const kept = new Map([[-1, base(data)]]);
    let last = { index: -1, state: kept.get(-1) };

    function at(index) {
      if (index === last.index) return last.state;
      let from = Math.floor(index / KEPT_EVERY) * KEPT_EVERY;
      while (from >= 0 && !kept.has(from)) from -= KEPT_EVERY;
      let state = kept.get(Math.max(from, -1));
      let start = Math.max(from, -1);
      if (last.index <= index && last.index > start) {
        state = last.state;
        start = last.index;
      }
      for (let each = start + 1; each <= index; each += 1) {
        state = after(state, data.frames[each]);
        if (each % KEPT_EVERY === 0) kept.set(each, state);
      }
      last = { index, state };
      return state;
    }

    const first = data.frames[0].step;
    return {
      ...data,
      at,
      first,
      last: data.frames[data.frames.length - 1].step,
      indexOf: (step) => Math.min(Math.max(step - first, 0), data.frames.length - 1),
      frameOf: (step) => data.frames[step - first],
    };
  };
})();
