// SPDX-License-Identifier: GPL-2.0-only
// The picture of a state, and what is lit in it.
//
//   picture.draw(view)               an <svg>
//   picture.light(root, view, id)    show what belongs to an object; of a page, its walk
const picture = (() => {
  const { make, text } = svg;
  const MARGIN = 10;

  // What a process did in this step, with the mark that goes with it.
  function does(view, mm) {
    if (view.isBroken(mm.id)) return `✗ ${view.change(mm.id) === "new" ? page.say("born") : ""}`;
    const change = view.change(mm.id);
    if (view.isGhost(mm.id)) return `${change === "freed" ? "† " : ""}${page.say("exited")}`;
    if (change === "new") return `+ ${page.say("born")}`;
    return mm.label === view.frame.process ? page.say("acts") : "";
  }

  function lanes(view) {
    const { layout } = view;
    // Who has left a lane is still named there, until somebody else takes it.
    const left = [...view.state.gone.values()].filter(
      (each) => walk.kind(each.id) === "mm" && !view.scene.has(each.id),
    );
    const known = [...left, ...view.of("mm")].filter((mm) => layout.laneOf[mm.label] !== undefined);
    const live = new Map(known.map((mm) => [layout.laneOf[mm.label], mm]));
    return layout.lanes.map(([y, height], at) => {
      const mm = live.get(at);
      const lane = make(
        "g",
        { class: `lane${at % 2 ? " odd" : ""}` },
        make("rect", { x: 0, y, width: layout.width, height }),
      );
      if (!mm) return lane;
      const isGone = view.isGhost(mm.id);
      const group = make(
        "g",
        {
          class: `thing mm is-${isGone ? "ghost" : view.change(mm.id) || "same"}${view.isBroken(mm.id) ? " broken" : ""}`,
          "data-id": mm.id,
          tabindex: 0,
          role: "button",
          "aria-label": labelOf(view, mm.id),
        },
        make("rect", { x: 2, y: y + 4, width: 42, height: 44, rx: 4, class: "hit" }),
        text(MARGIN, y + 22, mm.label, { size: 14, room: 32, class: "strong" }),
        text(MARGIN, y + 38, does(view, mm), { size: 9.5, room: 40, class: "does" }),
      );
      lane.append(group);
      return lane;
    });
  }

  function axis(view) {
    const { layout } = view;
    const bottom = layout.height - MARGIN;
    const shortened = new Set(layout.shortened.map(([start]) => start));
    const group = make("g", { class: "axis", "aria-hidden": "true" });
    group.append(
      text(MARGIN, layout.ticks + 16, page.say("axis"), { size: 9.5, class: "faint", room: 42 }),
    );
    let free = -Infinity;
    layout.axis.forEach(([number, x], at) => {
      group.append(make("path", { d: `M${x} ${layout.ticks + 19}V${bottom}` }));
      const label = String(number);
      if (x - svg.widthOf(label, 9.5) / 2 < free) return;
      free = x + svg.widthOf(label, 9.5) / 2 + 4;
      group.append(
        text(x, layout.ticks + 15, label, { size: 9.5, class: "faint", "text-anchor": "middle" }),
      );
      const next = layout.axis[at + 1];
      if (next && shortened.has(number)) {
        const middle = (x + next[1]) / 2;
        group.append(
          text(middle, layout.ticks + 15, "⋯", {
            size: 10,
            class: "faint",
            "text-anchor": "middle",
          }),
        );
        free = Math.max(free, middle + 6);
      }
    });
    return group;
  }

  function heads(view) {
    const { layout } = view;
    const group = make("g", { "aria-hidden": "true" });
    if (!Object.keys(layout.columns).length) return group;
    const x = Math.min(...Object.values(layout.columns).map(([left]) => left)) - 14;
    const says = (y, key) =>
      group.append(text(x, y, page.say(key), { size: 10, class: "faint", "text-anchor": "end" }));
    if (Object.keys(layout.cards).length) says(layout.tree - 14 - 60 + 27, "head-pages");
    says(layout.tree + 16, "head-anon-vmas");
    return group;
  }

  function draw(view) {
    const { layout } = view;
    const links = lines.placed(view);
    return make(
      "svg",
      {
        viewBox: `0 0 ${layout.width} ${layout.height}`,
        class: "picture",
        role: "group",
        "aria-label": page.say("picture", view.world.name, stepName(view.frame)),
      },
      ...lanes(view),
      axis(view),
      heads(view),
      ...links.map((each) => lines.wires(view, each)),
      ...lines.parents(view),
      ...lines.mappings(view),
      ...lines.rest(view),
      ...view.of("page").map((each) => boxes.pageCard(view, each)),
      ...view.of("slot").map((each) => boxes.slotCard(view, each)),
      ...view.of("get").map((each) => boxes.reference(view, each)),
      ...view.of("anon_vma").map((each) => boxes.anonVma(view, each)),
      ...view.of("vma").map((each) => boxes.vmaRow(view, each)),
      ...view
        .of("mm")
        .filter((mm) => !view.isGhost(mm.id))
        .flatMap((mm) => boxes.strays(view, mm)),
      ...layout.strangers.map((id) => boxes.stranger(view, id)),
      ...lines.unlinked(view),
      ...links.map((each) => lines.knot(view, each)),
      make("g", { class: "walk" }),
    );
  }

  // Beside each VMA that a reverse-map walk comes to, or ought to: in which order, and what it finds.
  function marks(view, walked) {
    const x = view.layout.axis[view.layout.axis.length - 1][1] + 11;
    const mark = ({ vma, process }, sign, key, name) => {
      const { layout } = view;
      // Where no VMA is, in the first row of the lane.
      const y = vma ? lines.rowOf(view, vma) : layout.lanes[layout.laneOf[process]][0] + 35;
      return make(
        "g",
        { class: `walked ${name}`, "data-walked": vma || `mm:${process}` },
        make("rect", { x, y: y - 13, width: 44, height: 26, rx: 4 }),
        text(x + 22, y - 2, sign, { "text-anchor": "middle", class: "strong" }),
        text(x + 22, y + 9, page.say(key), { size: 9.5, room: 40, "text-anchor": "middle" }),
      );
    };
    return [
      ...walked.visits.map((visit, at) =>
        visit.maps
          ? mark(visit, `${at + 1} ✓`, "walk-found", "found")
          : mark(visit, `${at + 1} ∅`, "walk-idle", "idle"),
      ),
      ...walked.missed
        .filter((each) => view.layout.laneOf[each.process] !== undefined)
        .map((each) => mark(each, "✗", "walk-missed", "missed")),
    ];
  }

  function light(root, view, id) {
    const drawing = root.querySelector("svg.picture");
    const isThere = id && view.get(id);
    drawing.classList.toggle("dimmed", Boolean(isThere));
    const lit = isThere ? walk.lit(view.scene, id) : new Set();
    for (const element of drawing.querySelectorAll("[data-id], [data-wire], [data-page]")) {
      const { id: own, wire, page: mapped } = element.dataset;
      const isLit =
        lit.has(own || wire || mapped) &&
        (mapped === undefined ||
          mapped === id ||
          walk.kind(id) === "vma" ||
          walk.kind(id) === "mm");
      element.classList.toggle("lit", isLit);
      if (own) element.classList.toggle("chosen", own === id);
    }
    const isPage = isThere && walk.kind(id) === "page" && !view.isGhost(id);
    drawing
      .querySelector(".walk")
      .replaceChildren(...(isPage ? marks(view, walk.from(view.scene, id)) : []));
  }

  return { draw, light };
})();

const stepName = (frame) => (frame.step < 0 ? page.say("start") : `ops[${frame.step}]`);
