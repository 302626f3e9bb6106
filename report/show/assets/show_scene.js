// SPDX-License-Identifier: GPL-2.0-only
// What is to be drawn of a state, and what is to be said of each object in it.
const makeView = (() => {
  const SIGNS = { new: "+", changed: "Δ", freed: "†" };

  return (world, index, other) => {
    const state = world.at(index);
    const { frame } = state;
    const ghosts = new Set(frame.ghosts || []);
    const findings = (frame.broken || []).filter((each) => !each.is_remark);
    const blamed = findings.length ? findings : frame.broken || [];
    const broken = new Set(
      blamed.flatMap((each) => [...each.objects, ...each.processes.map((label) => `mm:${label}`)]),
    );
    const fields = new Set(blamed.flatMap((each) => each.fields));
    const isNamed = (process, address) =>
      blamed.some((each) => each.processes.includes(process) && each.addresses.includes(address));
    // Where a law names a place and nothing is mapped there, it is about the VMA.
    const isNamedVma = (id) => {
      const vma = state.scene.get(id);
      const mm = vma && vma.process && state.scene.get(`mm:${vma.process}`);
      if (!mm || walk.kind(id) !== "vma") return false;
      const places = blamed.flatMap((each) => each.addresses);
      const isBare = (at) => ![...mm.ptes, ...mm.swapped].some(([address]) => address === at);
      const isWithin = (at) => vma.start <= at && at < vma.end && isNamed(vma.process, at);
      return places.some((at) => isWithin(at) && isBare(at));
    };
    const differs = new Set(other || []);
    const views = [
      ...state.scene.values(),
      ...[...ghosts].map((id) => state.gone.get(id)).filter(Boolean),
    ];
    return {
      world,
      layout: world.layout,
      state,
      frame,
      scene: state.scene,
      views,
      of: (kind) => views.filter((view) => walk.kind(view.id) === kind),
      get: (id) =>
        state.scene.get(id) ||
        (ghosts.has(id) || walk.kind(id) === "mm" ? state.gone.get(id) : undefined),
      isGhost: (id) => !state.scene.has(id),
      isBroken: (id) => broken.has(id) || isNamedVma(id),
      isBlamed: (id, field) => broken.has(id) && fields.has(field),
      isBrokenAt: isNamed,
      differs: (id) => differs.has(id),
      change: (id) => state.changes.get(id),
      sign: (id) => SIGNS[state.changes.get(id)] || "",
      pair: (id, read) => values.pair(state, id, read),
    };
  };
})();

// What an object is called aloud, marks and all.
const labelOf = (view, id) => {
  const object = view.get(id);
  const parts = [object && object.name ? `${id} (${object.name})` : id];
  if (object && object.process) parts.push(object.process);
  if (view.isGhost(id)) parts.push(page.say("freed"));
  else if (view.change(id)) parts.push(page.say(`is-${view.change(id)}`));
  if (view.isBroken(id)) parts.push(page.say("breaks-law"));
  if (view.differs(id)) parts.push(page.say("differs"));
  return parts.join(", ");
};
