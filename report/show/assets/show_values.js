// SPDX-License-Identifier: GPL-2.0-only
// What objects have in them, in the kernel's words, and what of it a step changed.
//
//   values.of(view)                 [[field, value], ...]; a value is text, or an array with ids in it
//   values.pair(state, id, read)    {now, old}; old is undefined unless the step changed it
const values = (() => {
  const range = (view) => `${view.start}-${view.end}`;
  const yes = (flag) => (flag ? "true" : "false");
  const nothing = "NULL";

  const FIELDS = {
    mm: (view) => [
      ["mm_struct of", view.label],
      ["VMAs", view.vmas],
      ["PTEs", view.ptes.flatMap(([at, page, write]) => [`${at}:`, page, write ? "rw;" : "r;"])],
      [
        "swap entries",
        view.swapped.flatMap(([at, slot, own]) => [`${at}:`, slot, own ? "exclusive;" : ";"]),
      ],
      ["pins", view.pins.flatMap(([at, page]) => [`${at}:`, page])],
    ],
    vma: (view) => [
      ["vm_mm", [`mm:${view.process}`]],
      ["vm_start", String(view.start)],
      ["vm_end", String(view.end)],
      ["vm_pgoff", String(view.pgoff)],
      ["vm_flags", [view.prot, ...view.flags].join(" ")],
      ["anon_vma", [view.anon_vma || nothing]],
      ["anon_vma_chain", view.chain],
    ],
    avc: (view) => [
      ["vma", [view.vma || nothing]],
      ["anon_vma", [view.anon_vma || nothing]],
    ],
    anon_vma: (view) => [
      ["root", [view.root || "-"]],
      ["parent", [view.parent || "-"]],
      ["refcount", String(view.refcount)],
      ...view.counts.map(([name, count]) => [name, String(count)]),
      ["rb_root", view.tree],
    ],
    page: (view) => [
      ["mapping", [view.mapping || nothing]],
      ["index", String(view.index)],
      ["PG_anon_exclusive", yes(view.exclusive)],
      ["mapcount", String(view.mapcount)],
      ["refcount", String(view.refcount)],
      ["pins", String(view.pins)],
      ["content", String(view.content)],
      ["swap", [view.slot || nothing]],
    ],
    slot: (view) => [
      ["swap_map", String(view.count)],
      ["content", String(view.content)],
    ],
    get: (view) => [
      ["process", view.process],
      ["address", String(view.address)],
      ["anon_vma", [view.anon_vma || nothing]],
    ],
  };

  const of = (view) => FIELDS[walk.kind(view.id)](view);

  function pair(state, id, read) {
    const view = state.scene.get(id) || state.gone.get(id);
    const old = state.changes.get(id) === "changed" ? state.before.get(id) : undefined;
    const now = read(view);
    const was = old ? read(old) : now;
    return JSON.stringify(was) === JSON.stringify(now) ? { now } : { now, old: was };
  }

  return { of, pair, range };
})();
