// SPDX-License-Identifier: GPL-2.0-only
// The list of operations, and the marks below the slider.
const stepList = (() => {
  const { h } = panels;
  const $ = (id) => document.getElementById(id);

  function signs(frames, isDifference) {
    const laws = frames.flatMap((frame) => frame.broken || []);
    const isFound = laws.some((law) => !law.is_remark);
    return [
      isFound && h("span.blamed", {}, "✗"),
      !isFound && laws.length > 0 && h("span.remark", {}, "!"),
      isDifference && h("span.other", {}, "≠"),
    ].filter(Boolean);
  }

  function row(step, frames, isDifference) {
    const [frame] = frames;
    const said = frame.step < 0 ? page.say("start-long") : frame.op;
    const result = frame.step < 0 || frame.returned === "0" ? "" : ` → ${frame.returned}`;
    return h(
      "li",
      {},
      h(
        "button.row",
        { type: "button", "data-step": step },
        h("span.number", {}, step < 0 ? "" : String(step)),
        h("span.what", {}, said, h("span.faint", {}, result)),
        h("span.signs", {}, ...signs(frames, isDifference)),
      ),
    );
  }

  // Fill the list with all steps of the worlds that are shown.
  function fill(worlds, first, last, difference) {
    const rows = [];
    for (let step = first; step <= last; step += 1) {
      const frames = worlds.map((world) => world.frameOf(step)).filter(Boolean);
      rows.push(row(step, frames, step === difference));
    }
    $("steps").replaceChildren(...rows);
  }

  // Mark findings and the first difference on the slider.
  function mark(findings, first, last, difference) {
    const place = (step) => (last === first ? 0 : ((step - first) / (last - first)) * 100);
    const sign = (step, text, name, key) =>
      h(
        `button.mark.${name}`,
        {
          type: "button",
          style: `left:${place(step)}%`,
          "data-step": step,
          title: page.say(key, step),
          tabindex: -1,
          "aria-hidden": "true",
        },
        text,
      );
    const made = findings.map((step) => sign(step, "✗", "blamed", "finding-at"));
    if (difference !== null) made.push(sign(difference, "≠", "other", "difference-at"));
    $("marks").replaceChildren(...made);
    $("to-finding").hidden = findings.length === 0;
    $("to-difference").hidden = difference === null;
  }

  // Show which step is the present one, and where it is in a long list.
  function show(step) {
    const list = $("steps");
    list.querySelectorAll("[aria-current]").forEach((each) => each.removeAttribute("aria-current"));
    const current = list.querySelector(`[data-step="${step}"]`);
    if (!current) return;
    current.setAttribute("aria-current", "step");
    const box = list.parentElement;
    const top = current.offsetTop - box.offsetTop;
    const isSeen =
      top >= box.scrollTop && top + current.offsetHeight <= box.scrollTop + box.clientHeight;
    if (!isSeen) box.scrollTop = top - box.clientHeight / 2;
  }

  return { fill, mark, show };
})();
