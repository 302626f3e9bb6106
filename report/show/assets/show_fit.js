// SPDX-License-Identifier: GPL-2.0-only
// How large pictures are, and what of them is seen.
//
//   fitting.fit(shown)       size the pictures of the views shown; banners have one height
//   fitting.reveal()         bring what breaks the law into sight, or else a VMA that changed
const fitting = (() => {
  // Below the smallest, the picture's text could not be read: it scrolls instead.
  const [SMALLEST, LARGEST] = [0.72, 1.3];
  const LEAST_BANNER = 96;

  function scaleOf(canvas, layout) {
    const isFilled = window.getComputedStyle(document.body).overflow === "hidden";
    const across = (canvas.clientWidth - 4) / layout.width;
    const down = isFilled ? (canvas.clientHeight - 4) / layout.height : Infinity;
    return Math.min(Math.max(Math.min(across, down), SMALLEST), LARGEST);
  }

  // Index of the frame with most to say about laws, the last of those.
  function wordiest(world) {
    const lawsOf = (at) => (world.frames[at].broken || []).length;
    return world.frames.reduce((most, _, at) => (lawsOf(at) >= lawsOf(most) ? at : most), 0);
  }

  // A picture stays where it is from step to step: every step has as much room above it as the
  // one with the most to say.
  function reserve(panes, shown) {
    panes.style.removeProperty("--banner");
    const heights = [...panes.querySelectorAll(".banner")].map((banner, at) => {
      const { world } = shown[at];
      const measured = banner.cloneNode(false);
      measured.append(...panels.banner(makeView(world, wordiest(world))));
      banner.parentElement.append(measured);
      const height = measured.offsetHeight;
      measured.remove();
      return height;
    });
    const room = Math.min(Math.max(...heights, LEAST_BANNER), window.innerHeight / 3);
    panes.style.setProperty("--banner", `${room}px`);
  }

  function fit(shown) {
    reserve(document.getElementById("panes"), shown);
    const canvases = [...document.querySelectorAll(".canvas")];
    const scale = Math.min(...canvases.map((canvas, at) => scaleOf(canvas, shown[at].layout)));
    canvases.forEach((canvas, at) => {
      const { style } = canvas.querySelector("svg.picture");
      style.width = `${Math.floor(shown[at].layout.width * scale)}px`;
      style.height = `${Math.floor(shown[at].layout.height * scale)}px`;
    });
  }

  // How far to scroll so that low to high is between from and to; its beginning counts more.
  function past(low, high, from, to) {
    return high > to ? Math.min(high - to, low - from) + 12 : Math.min(low - from - 12, 0);
  }

  function revealIn(canvas) {
    const boxesOf = (name) =>
      [...canvas.querySelectorAll(name)].map((each) => each.getBoundingClientRect());
    const seen = canvas.getBoundingClientRect();
    const isSeen = (box) =>
      box.top >= seen.top && box.bottom <= seen.bottom && box.left < seen.right;
    const changed = boxesOf("svg.picture .vma:is(.is-new, .is-changed)");
    const broken = boxesOf("svg.picture .broken");
    const found = broken.length ? broken : changed.some(isSeen) ? [] : changed.slice(0, 1);
    if (!found.length) return;
    const least = (side) => Math.min(...found.map((box) => box[side]));
    const most = (side) => Math.max(...found.map((box) => box[side]));
    canvas.scrollBy(
      past(least("left"), most("right"), seen.left, seen.right),
      past(least("top"), most("bottom"), seen.top, seen.bottom),
    );
  }

  const reveal = () => document.querySelectorAll(".canvas").forEach(revealIn);

  return { fit, reveal };
})();
