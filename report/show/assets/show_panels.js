// SPDX-License-Identifier: GPL-2.0-only
// What stands beside the picture: what the step did, its calls, one object's fields.
const panels = (() => {
  // An element: h("button.class", {attributes}, ...children); text is text.
  function h(tag, attributes = {}, ...children) {
    const [name, ...classes] = tag.split(".");
    const element = document.createElement(name);
    if (classes.length) element.className = classes.join(" ");
    for (const [key, value] of Object.entries(attributes)) {
      if (value !== undefined && value !== null && value !== false)
        element.setAttribute(key, String(value));
    }
    element.append(
      ...children.filter((child) => child !== null && child !== undefined && child !== false),
    );
    return element;
  }

  const NAMED = /\b(?:anon_vma|vma|avc|page|slot)#\d+|mm:\w+|get:\w+:\d+/g;

  // Text in which every object's name can be pressed.
  function linked(content, view) {
    const parts = [];
    let from = 0;
    for (const match of content.matchAll(NAMED)) {
      parts.push(content.slice(from, match.index), objectButton(match[0], view));
      from = match.index + match[0].length;
    }
    return [...parts, content.slice(from)];
  }

  function objectButton(id, view) {
    const object = view.get(id);
    if (!object) return h("span.code", {}, id);
    const label = object.name ? `${id} (${object.name})` : id;
    return h("button.object", { type: "button", "data-object": id }, label);
  }

  // The values of one law side by side: what each named object has in the fields that are named.
  function contradiction(view, broken) {
    const rows = broken.objects.flatMap((id) => {
      const object = view.get(id);
      if (!object) return [];
      return values
        .of(object)
        .filter(([field]) => broken.fields.some((name) => named(name) === field))
        .map(([field, value]) =>
          h(
            "li",
            {},
            objectButton(id, view),
            ` ${object.process ? `(${object.process}) ` : ""}`,
            h("code", {}, `->${field} = `),
            ...shown(value, view),
          ),
        );
    });
    return rows.length ? h("ul.contradiction", {}, ...rows) : null;
  }

  const ALIASES = {
    chain: "anon_vma_chain",
    tree: "rb_root",
    exclusive: "PG_anon_exclusive",
    start: "vm_start",
    end: "vm_end",
    pgoff: "vm_pgoff",
    prot: "vm_flags",
  };
  const named = (field) => ALIASES[field] || field;

  function law(view, broken) {
    return h(
      broken.is_remark ? "div.law.remark" : "div.law",
      {},
      h(
        "p.statement",
        {},
        h("strong", {}, `${broken.is_remark ? "! " : "✗ "}${broken.law}`),
        h(
          "span.kind",
          {},
          ` ${broken.is_remark ? page.say("law-remark") : broken.kind && page.say("law-broken", broken.kind)} `,
        ),
        broken.statement,
      ),
      h("p.message", {}, ...linked(broken.message, view)),
      contradiction(view, broken),
      ...(broken.only_if ? [h("p.only-if", {}, page.say("only-if", broken.only_if))] : []),
      ...broken.known.map((each) => h("p.known", {}, page.say("known-as", each))),
    );
  }

  function counts(view) {
    const all = [...view.state.changes.values()];
    const count = (what) => all.filter((each) => each === what).length;
    return page.say("counts", count("new"), count("changed"), count("freed"));
  }

  function banner(view) {
    const { frame } = view;
    const broken = frame.broken || [];
    return [
      h(
        "p.did",
        {},
        h("span.code.step", {}, stepName(frame)),
        " ",
        h("code.op", {}, frame.op || page.say("start-long")),
        frame.step < 0 ? "" : h("span", {}, ` → ${frame.returned}`),
        h("span.counts", {}, counts(view)),
      ),
      ...(broken.length
        ? broken.map((each) => law(view, each))
        : [h("p.fine", {}, `✓ ${page.say("laws-hold")}`), changes(view)].filter(Boolean)),
    ];
  }

  // What a step made of each object, in a line for each that is not a link.
  function changes(view) {
    const said = [...view.state.changes]
      .filter(([id]) => walk.kind(id) !== "avc")
      .map(([id, change]) => {
        const now = view.state.scene.get(id);
        const old = view.state.before.get(id);
        const sign = { new: "+", changed: "Δ", freed: "†" }[change];
        const differences = change === "changed" ? different(old, now) : [];
        return h(
          "li",
          {},
          `${sign} `,
          objectButton(id, view),
          differences.length ? ` ${differences.join(", ")}` : "",
        );
      });
    return said.length ? h("ul.changes", {}, ...said) : null;
  }

  function different(old, now) {
    const was = new Map(values.of(old));
    return values
      .of(now)
      .filter(([name, value]) => JSON.stringify(was.get(name)) !== JSON.stringify(value))
      .map(([name, value]) =>
        Array.isArray(value) && value.length !== 1
          ? name
          : `${name} ${[was.get(name)].flat().join(" ")}→${[value].flat().join(" ")}`,
      );
  }

  function spoken(view) {
    const { frame } = view;
    const broken = (frame.broken || []).map(
      (each) => `${page.say("breaks-law")}: ${each.law}. ${each.message}`,
    );
    return [
      `${stepName(frame)} ${frame.op || page.say("start-long")}. ${frame.returned || ""}`,
      counts(view),
      ...broken,
    ].join(". ");
  }

  const KINDS = { lock: "lock", allocate: "alloc", free: "free" };

  // What a source tree's driver was asked for has its arguments already.
  const isFunction = (called, what) => ["call", "lock"].includes(what) && !called.includes("(");

  function call([name, kind, about = "", failed = 0, times = 1, inside = []], texts, view) {
    const [called, what] = [texts[name], texts[kind]];
    const line = [
      what === "call" ? null : h(`span.kind.${what}`, {}, KINDS[what]),
      isFunction(called, what) ? `${called}()` : called,
      times > 1 ? ` ×${times}` : "",
      about ? " " : "",
      about ? objectButton(about, view) : "",
      failed ? h("strong.failed", {}, ` ✗ ${page.say("alloc-failed")}`) : "",
    ];
    if (!inside.length) return h("li", {}, ...line);
    const below = h("ul", {}, ...inside.map((each) => call(each, texts, view)));
    return h("li", {}, h("details", { open: "" }, h("summary", {}, ...line), below));
  }

  function calls(view, texts) {
    const made = view.frame.calls || [];
    if (!made.length) return [h("p.faint", {}, page.say("no-calls"))];
    return [h("ul.calls", {}, ...made.map((each) => call(each, texts, view)))];
  }

  // A value of values.of: text, or a list in which ids can be pressed.
  function shown(value, view) {
    if (typeof value === "string") return [h("code", {}, value)];
    if (!value.length) return [h("span.faint", {}, page.say("empty"))];
    return value.flatMap((each) =>
      view.get(each) ? [objectButton(each, view), " "] : [h("code", {}, each), " "],
    );
  }

  function fields(view, id) {
    const isThere = ([name]) => name !== "root" || view.world.hasRoot;
    const now = values.of(view.get(id)).filter(isThere);
    const old =
      view.change(id) === "changed" ? new Map(values.of(view.state.before.get(id))) : new Map();
    return h(
      "dl",
      {},
      ...now.flatMap(([name, value]) => {
        const was = old.get(name);
        const isNews = was !== undefined && JSON.stringify(was) !== JSON.stringify(value);
        const isBlamed =
          view.isBroken(id) &&
          (view.frame.broken || []).some((each) =>
            each.fields.some((field) => named(field) === name),
          );
        return [
          h(isBlamed ? "dt.blamed" : "dt", {}, `${isBlamed ? "✗ " : ""}${name}`),
          h(
            isNews ? "dd.news" : "dd",
            {},
            ...(isNews
              ? [h("span.old", {}, [was].flat().join(" ") || page.say("empty")), " → "]
              : []),
            ...shown(value, view),
          ),
        ];
      }),
    );
  }

  function walked(view, id) {
    const { anonVma, visits, missed, unknown } = walk.from(view.scene, id);
    if (!anonVma) return [h("p", {}, page.say("walk-nowhere"))];
    const freed = !view.scene.has(anonVma);
    const step = (sign, name, key, each, ...args) =>
      h(
        `li.${name}`,
        {},
        `${sign} `,
        each.link ? objectButton(each.link, view) : "",
        each.link ? " → " : "",
        each.vma ? objectButton(each.vma, view) : "",
        ` ${page.say(key, each.process, each.address, ...args)}`,
      );
    return [
      h("h3", {}, page.say("walk-title")),
      h(
        "p",
        {},
        objectButton(id, view),
        h("code", {}, "->mapping"),
        " → ",
        objectButton(anonVma, view),
        freed ? h("strong.blamed", {}, ` ✗ ${page.say("freed")}`) : "",
      ),
      h(
        "ol.walk",
        {},
        ...visits.map((each) =>
          each.maps
            ? step("✓", "found", "walk-maps", each)
            : step("∅", "idle", "walk-maps-not", each),
        ),
      ),
      ...(missed.length
        ? [h("ul.walk", {}, ...missed.map((each) => step("✗", "missed", "walk-misses", each)))]
        : []),
      unknown > 0 && h("p", {}, page.say("walk-unknown", unknown)),
      missed.length > 0 && h("p.blamed", {}, page.say("walk-bad", missed.length)),
      !unknown && !missed.length && h("p", {}, page.say("walk-good")),
    ].filter(Boolean);
  }

  function details(view, id) {
    const object = id ? view.get(id) : undefined;
    if (!object) return [];
    return [
      h(
        "p.named",
        {},
        h("strong", {}, labelOf(view, id)),
        h("button.close", { type: "button", "data-object": "" }, page.say("close")),
      ),
      ...lawsAbout(view, id),
      ...(walk.kind(id) === "page" && !view.isGhost(id) ? walked(view, id) : []),
      fields(view, id),
    ];
  }

  function lawsAbout(view, id) {
    const about = (view.frame.broken || []).filter((each) => each.objects.includes(id));
    return about.map((each) => h("p.blamed", {}, `✗ ${each.law}: ${each.message}`));
  }

  return { h, banner, spoken, calls, details };
})();
