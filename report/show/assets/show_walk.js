// SPDX-License-Identifier: GPL-2.0-only
// Who leads to whom: pointers there and back, and the reverse-map walk from a page.
//
//   walk.kind(id)             "vma", "avc", "anon_vma", "page", "slot", "mm" or "get"
//   walk.pointers(view)       ids of what it points to
//   walk.from(scene, id)      the reverse-map walk: {anonVma, visits, missed, unknown}
//   walk.lit(scene, id)       ids of all that is to be seen with it
const walk = (() => {
  const kind = (id) => id.split(/[#:]/, 1)[0];

  function pointers(view) {
    switch (kind(view.id)) {
      case "mm":
        return [
          ...view.vmas,
          ...view.ptes.map((pte) => pte[1]),
          ...view.swapped.map((entry) => entry[1]),
        ];
      case "vma":
        return [view.anon_vma, ...view.chain];
      case "avc":
        return [view.vma, view.anon_vma];
      case "anon_vma":
        return [view.root, view.parent, ...view.tree];
      case "page":
        return [view.mapping, view.slot];
      case "get":
        return [view.anon_vma];
      default:
        return [];
    }
  }

  function* mappings(scene, page) {
    for (const mm of scene.values()) {
      if (kind(mm.id) !== "mm") continue;
      for (const [address, mapped] of mm.ptes) {
        if (mapped === page) yield { process: mm.label, address };
      }
    }
  }

  function vmaAt(scene, process, address) {
    for (const view of scene.values()) {
      if (
        kind(view.id) === "vma" &&
        view.process === process &&
        view.start <= address &&
        address < view.end
      ) {
        return view.id;
      }
    }
    return null;
  }

  // As rmap_walk_anon: every VMA in the tree of page->mapping whose range holds page->index.
  function from(scene, id) {
    const page = scene.get(id);
    const anonVma = page && page.mapping ? scene.get(page.mapping) : undefined;
    const mapped = [...mappings(scene, id)];
    const visits = [];
    let unknown = 0; // Links of what is not drawn.
    for (const link of anonVma ? anonVma.tree : []) {
      const avc = scene.get(link);
      const vma = avc && avc.vma ? scene.get(avc.vma) : undefined;
      if (!vma) {
        unknown += 1;
        continue;
      }
      const address = vma.start + page.index - vma.pgoff;
      if (address < vma.start || address >= vma.end) continue;
      const maps = mapped.some((each) => each.process === vma.process && each.address === address);
      visits.push({ link, vma: vma.id, process: vma.process, address, maps });
    }
    const missed = mapped
      .filter(
        ({ process, address }) =>
          !visits.some((each) => each.process === process && each.address === address),
      )
      .map(({ process, address }) => ({ process, address, vma: vmaAt(scene, process, address) }));
    return { page: id, anonVma: page ? page.mapping : null, visits, missed, unknown };
  }

  function* seenWith(scene, id) {
    const view = scene.get(id);
    if (!view) return;
    yield* pointers(view);
    switch (kind(id)) {
      case "mm":
        return;
      case "vma":
        for (const link of view.chain) yield (scene.get(link) || {}).anon_vma;
        for (const [address, page] of (scene.get(`mm:${view.process}`) || { ptes: [] }).ptes) {
          if (view.start <= address && address < view.end) yield page;
        }
        break;
      case "anon_vma":
        for (const link of view.tree) yield (scene.get(link) || {}).vma;
        break;
      case "page": {
        const walked = from(scene, id);
        for (const each of walked.visits) yield* [each.link, each.vma];
        for (const each of walked.missed) yield each.vma;
        break;
      }
      default:
    }
    for (const other of scene.values()) {
      if (other.id !== id && kind(other.id) !== "mm" && pointers(other).includes(id))
        yield other.id;
    }
  }

  const lit = (scene, id) => new Set([id, ...seenWith(scene, id)].filter(Boolean));

  return { kind, pointers, from, lit, vmaAt };
})();
