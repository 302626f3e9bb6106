// SPDX-License-Identifier: GPL-2.0-only
// Objects as boxes: VMAs with their pages, anon_vmas, pages, swap slots, outside references.
const boxes = (() => {
  const BOX = 136;
  const CARD = 46;
  const LINE = 13;
  const TITLE = 15;
  const CELL = 30;
  const { make, text, words, badge, widthOf } = svg;

  // A field's value: "1", or "1→2" if the step changed it.
  function told(view, id, label, read, field) {
    const { now, old } = view.pair(id, read);
    const name = view.isBlamed(id, field || label.trim()) ? "blamed" : "";
    const parts = [[label, `field ${name}`]];
    if (old !== undefined) parts.push([String(old), "old"], ["→", "arrow"]);
    parts.push([String(now), old === undefined ? `value ${name}` : `value news ${name}`]);
    return parts;
  }

  // A group that can be pointed at, with the marks that go with what happened to its object.
  function thing(view, id, at, ...children) {
    const state = view.isGhost(id) ? "ghost" : view.change(id) || "same";
    const group = make(
      "g",
      {
        class: `thing ${walk.kind(id)} is-${state}${view.isBroken(id) ? " broken" : ""}`,
        "data-id": id,
        tabindex: 0,
        role: "button",
        "aria-label": labelOf(view, id),
      },
      ...children,
    );
    if (view.sign(id))
      group.append(
        badge(
          at.x + (at.inset || 0),
          at.y - (at.inset ? 4 : 0),
          view.sign(id),
          `is-${view.change(id)}`,
        ),
      );
    if (view.isBroken(id))
      group.append(badge(at.x + at.width, at.y + (at.down || 0), "✗", "is-broken"));
    else if (view.differs(id))
      group.append(badge(at.x + at.width, at.y + (at.down || 0), "≠", "is-other"));
    return group;
  }

  const frame = (x, y, width, height, name = "") =>
    make("rect", { x, y, width, height, rx: 4, class: `box ${name}` });

  function anonVma(view, anonVmaView) {
    const { id } = anonVmaView;
    const [x, y] = view.layout.columns[id];
    const height = view.layout.boxHeight;
    const isRoot = view.world.hasRoot && anonVmaView.root === id;
    const lines = [
      told(view, id, "refcount ", (each) => each.refcount, "refcount"),
      ...anonVmaView.counts.map(([name], at) =>
        told(view, id, `${name} `, (each) => each.counts[at][1], name),
      ),
    ];
    const right = view.isGhost(id) ? page.say("freed") : isRoot ? "root" : "";
    return thing(
      view,
      id,
      { x, y, width: BOX, inset: 14 },
      frame(x, y, BOX, height),
      isRoot &&
        make("rect", {
          x: x + 3,
          y: y + 3,
          width: BOX - 6,
          height: height - 6,
          rx: 2,
          class: "inner",
        }),
      text(x + 9, y + 15, anonVmaView.name, { size: 12.5, class: "strong" }),
      text(x + BOX - 9, y + 15, right, {
        class: view.isGhost(id) ? "faint" : "strong",
        "text-anchor": "end",
      }),
      text(x + 9, y + 15 + LINE, id, { size: 10, class: "faint" }),
      ...lines.map((parts, at) =>
        words(x + 9, y + 15 + (at + 2) * LINE, parts, { size: 10.5, room: BOX - 16 }),
      ),
    );
  }

  function card(view, id, right, lines) {
    const [x, y] = view.layout.cards[id] || view.layout.slots[id];
    const said = view.isGhost(id) ? page.say("freed") : right;
    return thing(
      view,
      id,
      { x, y, width: BOX, inset: 14 },
      frame(x, y, BOX, CARD),
      text(x + 9, y + 14, id, {
        class: "strong",
        room: Math.min(BOX - 60, BOX - 23 - widthOf(said, 10)),
      }),
      text(x + BOX - 9, y + 14, said, {
        size: 10,
        class: "faint",
        "text-anchor": "end",
      }),
      ...lines.map((parts, at) =>
        words(x + 9, y + 27 + at * (lines.length > 2 ? 8.5 : 12.5), parts, {
          size: 10,
          room: BOX - 16,
        }),
      ),
    );
  }

  function pageCard(view, { id, exclusive, pins, slot, mapping }) {
    const was = view.pair(id, (each) => each.exclusive);
    const news = was.old === undefined ? "" : `excl ${Number(was.old)}→${Number(was.now)}`;
    const right = news || (exclusive ? "exclusive" : "");
    const space = [[" ", ""]];
    return card(view, id, right, [
      [
        ...told(view, id, "index ", (each) => each.index, "index"),
        ...space,
        ...told(view, id, "mapcount ", (each) => each.mapcount, "mapcount"),
      ],
      [
        ...told(view, id, "content ", (each) => each.content, "content"),
        ...(pins ? [...space, ...told(view, id, "pins ", (each) => each.pins, "pins")] : []),
        ...(slot ? [...space, [slot, "field"]] : []),
      ],
      ...(mapping && !view.get(mapping)
        ? [[[`mapping ${mapping} ✗ ${page.say("freed")}`, "blamed"]]]
        : []),
    ]);
  }

  const slotCard = (view, { id }) =>
    card(view, id, "swap", [
      told(view, id, "swap_map ", (each) => each.count, "count"),
      told(view, id, "content ", (each) => each.content, "content"),
    ]);

  const reference = (view, { id, process, address }) =>
    card(view, id, "", [
      [[page.say("held-outside"), "field"]],
      [[page.say("held-for", process, address), "field"]],
    ]);

  // Where a page number stands on the axis.
  function xOf({ axis }, number) {
    const next = axis.findIndex(([from]) => from > number);
    const stop = Math.min(Math.max((next < 0 ? axis.length : next) - 1, 0), axis.length - 2);
    const [[first, left], [last, right]] = [axis[stop], axis[stop + 1]];
    return left + ((right - left) * (number - first)) / (last - first);
  }

  // What a process has at each page number: {address: {words: [name, how], id, key}}.
  function entries(mm) {
    const found = new Map();
    if (!mm) return found;
    for (const [address, id, write] of mm.ptes) {
      found.set(address, { id, name: id === "zero" ? "zero page" : id, how: write ? "rw" : "r" });
    }
    for (const [address, id, own] of mm.swapped) {
      found.set(address, { id, name: id, how: own ? "swap excl" : "swap" });
    }
    for (const [address, id] of mm.pins) {
      const entry = found.get(address) || { id, name: "", how: "" };
      const same = entry.id === id;
      found.set(address, {
        ...entry,
        how: `${entry.how} pin${same ? "" : ` ${id}`}`.trim(),
        pin: id,
      });
    }
    return found;
  }

  const sameEntry = (one, other) =>
    Boolean(one) === Boolean(other) && (!one || (one.id === other.id && one.how === other.how));

  function cell(left, right, top, entry, old, isChanged, isBroken) {
    const width = right - left;
    const shown = entry || old;
    const sign = !isChanged ? "" : entry ? (old ? "Δ" : "+") : "†";
    const kind = !entry
      ? "left"
      : entry.id === "zero"
        ? "zero"
        : entry.how.startsWith("swap")
          ? "swapped"
          : "present";
    const group = make(
      "g",
      {
        class: `cell ${kind}${isChanged ? " news" : ""}${isBroken ? " broken" : ""}`,
        "data-page": entry ? entry.id : undefined,
      },
      make("rect", {
        x: left + 1.5,
        y: top + 2,
        width: Math.max(width - 3, 2),
        height: CELL - 4,
        rx: 2,
      }),
    );
    const short =
      widthOf(shown.name, 10) > width - 6
        ? shown.name.replace(/^page|^slot| page$/, "")
        : shown.name;
    if (width >= 24) {
      const middle = left + width / 2;
      const how = `${isBroken ? "✗ " : ""}${sign}${sign && shown.how ? " " : ""}${shown.how}`;
      group.append(
        text(middle, top + 13, short, { size: 10, room: width - 5, "text-anchor": "middle" }),
        text(middle, top + 24, how, {
          size: 9.5,
          room: width - 5,
          "text-anchor": "middle",
          class: isChanged ? "news" : "faint",
        }),
      );
    }
    const title = make("title");
    title.textContent = `${sign} ${shown.name} ${shown.how}`.trim();
    group.append(title);
    return group;
  }

  function cells(view, vma, top) {
    const mm = view.isGhost(vma.id) ? undefined : view.scene.get(`mm:${vma.process}`);
    const now = entries(mm);
    const old = entries(
      view.isGhost(vma.id) ? undefined : view.state.before.get(`mm:${vma.process}`),
    );
    const made = [];
    for (const address of new Set([...now.keys(), ...old.keys()])) {
      if (address < vma.start || address >= vma.end) continue;
      const [entry, was] = [now.get(address), old.get(address)];
      made.push(
        cell(
          xOf(view.layout, address),
          xOf(view.layout, address + 1),
          top,
          entry,
          was,
          !sameEntry(entry, was),
          view.isBrokenAt(vma.process, address),
        ),
      );
    }
    return made;
  }

  function titleOf(view, vma, left, right) {
    const { id } = vma;
    const parts = [[id, "strong"], [" ", ""], ...told(view, id, "", (each) => each.prot, "prot")];
    for (const flag of vma.flags) parts.push([` ${flag}`, "field"]);
    if (vma.pgoff !== vma.start)
      parts.push([" ", ""], ...told(view, id, "pgoff ", (each) => each.pgoff, "pgoff"));
    if (view.isGhost(id)) parts.push([` ${page.say("freed")}`, "faint"]);
    const y = view.layout.rows[id] + 11;
    const width = widthOf(parts.map((part) => part[0]).join(""), 11);
    const room = view.layout.axis[view.layout.axis.length - 1][1] + 50;
    const x = left + 10 + width > room ? Math.max(room - width, 50) : left + 10;
    return words(x, y, parts, { room: Math.max(right, room) - 50 });
  }

  function edges(view, vma, left, right, y) {
    const [start, end] = [
      told(view, vma.id, "", (each) => each.start, "start"),
      told(view, vma.id, "", (each) => each.end, "end"),
    ];
    const length = (parts) => widthOf(parts.map((part) => part[0]).join(""), 9.5);
    if (length(start) + length(end) + 8 > right - left) {
      const all = [...start, ["–", ""], ...end];
      return [
        words((left + right) / 2, y, all, { size: 9.5, class: "edge", "text-anchor": "middle" }),
      ];
    }
    return [
      words(left, y, start, { size: 9.5, class: "edge" }),
      words(right, y, end, { size: 9.5, class: "edge", "text-anchor": "end" }),
    ];
  }

  function vmaRow(view, vmaView) {
    const top = view.layout.rows[vmaView.id] + TITLE;
    const [left, right] = [xOf(view.layout, vmaView.start), xOf(view.layout, vmaView.end)];
    return thing(
      view,
      vmaView.id,
      { x: left, y: top, width: right - left, down: CELL / 2 },
      frame(left, top, right - left, CELL),
      ...cells(view, vmaView, top),
      titleOf(view, vmaView, left, right),
      ...edges(view, vmaView, left, right, top + CELL + 10),
    );
  }

  // Entries of a page table where no VMA is: they have no row, so they stand in the lane's first.
  function strays(view, mm) {
    if (mm.vmas.some((id) => !view.get(id))) return []; // Who is left out has entries, too.
    const [top] = view.layout.lanes[view.layout.laneOf[mm.label]];
    return [...entries(mm)]
      .filter(([address]) => walk.vmaAt(view.scene, mm.label, address) === null)
      .map(([address, entry]) => {
        const group = cell(
          xOf(view.layout, address),
          xOf(view.layout, address + 1),
          top + 5 + TITLE,
          entry,
          entry,
          false,
          true,
        );
        group.setAttribute("class", `${group.getAttribute("class")} stray`);
        return group;
      });
  }

  // A VMA that was made and freed in one operation, and that a link still leads to.
  function stranger(view, id) {
    if (!view.of("avc").some((link) => link.vma === id && !view.isGhost(link.id))) return null;
    const top = view.layout.rows[id] + TITLE;
    const left = view.layout.axis[0][1];
    return make(
      "g",
      { class: "thing vma is-ghost broken" },
      frame(left, top, 110, CELL),
      text(left + 8, top + 19, `${id} ${page.say("freed")}`, { class: "blamed", room: 96 }),
      badge(left + 110, top, "✗", "is-broken"),
    );
  }

  return {
    anonVma,
    pageCard,
    stranger,
    slotCard,
    reference,
    vmaRow,
    strays,
    xOf,
    BOX,
    CARD,
    TITLE,
    CELL,
  };
})();
