// SPDX-License-Identifier: GPL-2.0-only
// SVG elements, and how words stand in them.
const svg = (() => {
  const SPACE = "http://www.w3.org/2000/svg";
  const GLYPH = 0.602; // Width of a character of a monospaced font, in its size.

  function make(tag, attributes = {}, ...children) {
    const element = document.createElementNS(SPACE, tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== undefined && value !== null && value !== false)
        element.setAttribute(name, String(value));
    }
    element.append(...children.filter(Boolean));
    return element;
  }

  const widthOf = (content, size) => content.length * size * GLYPH;

  // Text that is never wider than its room: what is too long is set narrower.
  function text(x, y, content, { size = 11, room = Infinity, ...attributes } = {}) {
    const element = make("text", { x, y, "font-size": size, ...attributes });
    element.textContent = content;
    if (widthOf(content, size) > room) {
      element.setAttribute("textLength", Math.floor(room));
      element.setAttribute("lengthAdjust", "spacingAndGlyphs");
    }
    return element;
  }

  // A line of words with classes of their own: [["refcount ", ""], ["1", "old"]].
  function words(x, y, parts, { size = 11, room = Infinity, ...attributes } = {}) {
    const element = text(x, y, parts.map((part) => part[0]).join(""), {
      size,
      room,
      ...attributes,
    });
    element.textContent = "";
    for (const [content, name] of parts) {
      const span = make("tspan", { class: name || undefined });
      span.textContent = content;
      element.append(span);
    }
    return element;
  }

  // A mark in a box of its own, at a corner: +, Δ, †, ✗, ≠.
  function badge(x, y, sign, name) {
    return make(
      "g",
      { class: `badge ${name}`, "aria-hidden": "true" },
      make("rect", { x: x - 8, y: y - 8, width: 16, height: 16, rx: 3 }),
      text(x, y + 4, sign, { size: 12, "text-anchor": "middle" }),
    );
  }

  return { make, text, words, badge, widthOf };
})();
