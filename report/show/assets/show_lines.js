// SPDX-License-Identifier: GPL-2.0-only
// What leads from one object to another: links in their rows and columns, parents, page->mapping.
const lines = (() => {
  const { make, text, badge } = svg;
  const { BOX, CARD, TITLE, CELL } = boxes;
  const RADIUS = 9.5;
  const BESIDE = 24; // From one link to another of the same VMA and anon_vma.

  const middle = (view, id) => view.layout.columns[id][0] + BOX / 2;
  const bottom = (view, id) => view.layout.columns[id][1] + view.layout.boxHeight;
  const rowOf = (view, id) => view.layout.rows[id] + TITLE + CELL / 2;

  // Every link with where it is and what it is part of.
  function placed(view) {
    const there = new Map();
    return view
      .of("avc")
      .filter(
        (link) => view.layout.rows[link.vma] !== undefined && view.layout.columns[link.anon_vma],
      )
      .map((link) => {
        const vma = view.get(link.vma);
        const anonVma = view.get(link.anon_vma);
        const place = `${link.vma} ${link.anon_vma}`;
        const beside = there.get(place) || 0;
        there.set(place, beside + 1);
        return {
          link,
          vma,
          x: middle(view, link.anon_vma) + beside * BESIDE,
          y: rowOf(view, link.vma),
          order: vma ? vma.chain.indexOf(link.id) + 1 : 0,
          isInTree: Boolean(anonVma && anonVma.tree.includes(link.id)),
          isOwn: Boolean(vma && vma.anon_vma === link.anon_vma) && !view.isGhost(link.id),
        };
      });
  }

  // The lines of one link: along the row to its VMA, up the column to its anon_vma.
  function wires(view, { link, vma, x, y, order, isInTree }) {
    const ghost = view.isGhost(link.id) ? " ghost" : "";
    const group = make("g", { class: `wire${ghost}`, "data-wire": link.id });
    if (vma && order) {
      const from = boxes.xOf(view.layout, vma.end);
      group.append(make("path", { class: "chain", d: `M${from} ${y}H${x - RADIUS}` }));
    }
    if (isInTree) {
      group.append(
        make("path", { class: "tree", d: `M${x} ${y - RADIUS}V${bottom(view, link.anon_vma)}` }),
      );
    }
    return group;
  }

  function knot(view, { link, x, y, order, isInTree, isOwn }) {
    const { id } = link;
    const state = view.isGhost(id) ? "ghost" : view.change(id) || "same";
    const isNamed = !view.isGhost(id) && view.isBroken(link.vma) && view.isBroken(link.anon_vma);
    const isBlamed =
      isNamed &&
      ((isOwn && view.isBlamed(link.vma, "anon_vma")) || view.isBlamed(link.vma, "chain"));
    const isWrong = view.isBroken(id) || isBlamed;
    const lacks = view.isGhost(id)
      ? page.say("freed")
      : !order
        ? page.say("not-in-chain")
        : !isInTree
          ? page.say("not-in-tree")
          : "";
    const group = make(
      "g",
      {
        class: `thing avc is-${state}${isOwn ? " own" : ""}${isWrong ? " broken" : ""}`,
        "data-id": id,
        tabindex: 0,
        role: "button",
        "aria-label": `${labelOf(view, id)}: ${link.vma} - ${link.anon_vma}, ${page.say("chain-place", order || "-")}`,
      },
      make("circle", { cx: x, cy: y, r: RADIUS + 3, class: "halo" }),
      make("circle", { cx: x, cy: y, r: RADIUS }),
      text(x, y + 4, order ? String(order) : "–", {
        "text-anchor": "middle",
        class: "order",
        room: 15,
      }),
      text(x + 13, y - 5, id, { size: 9, class: "faint" }),
      lacks &&
        text(x + 13, y + 14, lacks, { size: 9.5, class: view.isGhost(id) ? "faint" : "blamed" }),
    );
    if (view.sign(id)) group.append(badge(x - 13, y - 12, view.sign(id), `is-${view.change(id)}`));
    if (isWrong) group.append(badge(x - 13, y + 12, "✗", "is-broken"));
    else if (view.differs(id)) group.append(badge(x - 13, y + 12, "≠", "is-other"));
    return group;
  }

  // vma->anon_vma where no link of the VMA leads to that anon_vma.
  function unlinked(view) {
    return view
      .of("vma")
      .filter((vma) => vma.anon_vma && view.layout.columns[vma.anon_vma] && !view.isGhost(vma.id))
      .filter((vma) => !vma.chain.some((id) => (view.get(id) || {}).anon_vma === vma.anon_vma))
      .map((vma) => {
        const [x, y] = [middle(view, vma.anon_vma) - 30, rowOf(view, vma.id)];
        return make(
          "g",
          { class: "unlinked", "data-wire": vma.id },
          make("path", { d: `M${boxes.xOf(view.layout, vma.end)} ${y}H${x - 8}` }),
          make("path", { d: `M${x - 8} ${y}l8 -8l8 8l-8 8z`, class: "diamond" }),
          text(x - 14, y - 6, page.say("no-link"), {
            size: 9.5,
            class: "blamed",
            "text-anchor": "end",
          }),
        );
      });
  }

  function elbow(view, child, parent, name) {
    const [x, y] = view.layout.columns[parent];
    const [, childTop] = view.layout.columns[child];
    const level = y + 9;
    const target = middle(view, child);
    const goesRight = view.layout.columns[child][0] > x;
    const from = goesRight ? x + BOX : x;
    const path =
      level < childTop
        ? `M${target} ${childTop}V${level}H${from}`
        : `M${target} ${childTop}V${childTop - 8}H${from}V${level}`;
    const tip = goesRight ? `M${from} ${level}l7 -4v8z` : `M${from} ${level}l-7 -4v8z`;
    return make(
      "g",
      { class: `parent ${name}`, "data-wire": child },
      make("path", { d: path }),
      make("path", { d: tip, class: "tip" }),
    );
  }

  function parents(view) {
    return view.of("anon_vma").flatMap((each) => {
      const above = each.parent === null ? each.root : each.parent;
      if (!above || above === each.id || !view.layout.columns[above] || !view.get(above)) return [];
      const name = `${each.parent === null ? "by-root" : ""}${view.isGhost(each.id) ? " ghost" : view.isGhost(above) ? " dangling" : ""}`;
      return [elbow(view, each.id, above, name)];
    });
  }

  // page->mapping, and references from outside: down the gap left of the column.
  function mappings(view) {
    return [...view.of("page"), ...view.of("get")].flatMap((each, at) => {
      const target = each.mapping || each.anon_vma;
      if (!target || !view.layout.columns[target] || view.isGhost(each.id)) return [];
      const [x, y] = view.layout.cards[each.id];
      const [column, top] = view.layout.columns[target];
      const gap = 7 - (at % 3) * 2.5;
      const from = x - gap;
      const to = column - gap;
      const channel = view.layout.tree - 5 - (at % 3) * 3;
      const across = from === to ? "" : `V${channel}H${to}`;
      const name = `mapping${view.isGhost(target) ? " dangling" : ""}`;
      return [
        make(
          "g",
          { class: name, "data-wire": each.id },
          make("path", { d: `M${x} ${y + CARD / 2}H${from}${across}V${top + 20}H${column}` }),
          make("path", { class: "tip", d: `M${column} ${top + 20}l-6 -4v8z` }),
        ),
      ];
    });
  }

  // Links of processes that are not drawn; where all are, such as were freed before anybody saw them.
  function rest(view) {
    return view.of("anon_vma").flatMap((each) => {
      if (view.isGhost(each.id)) return [];
      const isCrowd = Object.keys(view.world.leftOut).length > 0;
      const count = each.tree.filter((id) => !view.get(id)).length;
      const [x] = view.layout.columns[each.id];
      return count
        ? [
            text(
              x + BOX / 2 + 5,
              bottom(view, each.id) + 11,
              page.say(isCrowd ? "more-links" : "freed-links", count),
              { size: 9.5, class: isCrowd ? "faint" : "blamed" },
            ),
          ]
        : [];
    });
  }

  return { placed, wires, knot, unlinked, parents, mappings, rest, rowOf };
})();
