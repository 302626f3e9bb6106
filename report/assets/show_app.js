// SPDX-License-Identifier: GPL-2.0-only
// The page: which step, which worlds, which object; keys, slider, list, address.
(() => {
  const { h } = panels;
  const { worlds: given, texts, finding, length } = page.data;
  const worlds = given.map(makeWorld);
  const $ = (id) => document.getElementById(id);
  const first = Math.min(...worlds.map((world) => world.first));
  const last = Math.max(...worlds.map((world) => world.last));
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const PLAY_EVERY = 1400;
  const [SMALLEST, LARGEST] = [0.68, 1.3]; // Below, the picture's text could not be read: it scrolls.
  const APART = 400; // Steps made faster than that are one entry of the browser's history.

  let step = null;
  let other = 0; // Index of the world beside the first; 0 for none.
  let chosen = null; // {world, id}
  let pointed = null;
  let timer = null;
  let moved = 0;
  let shown = [];

  const difference = () => (other ? worlds[other].difference : null);
  const stops = () => [
    ...worlds.map((world, at) => (at === 0 || at === other ? world.finding : null)),
  ];

  // The address: #step=6&on=v6.1&lang=zh&theme=dark, each only where it is not the default.

  function address() {
    const parts = new URLSearchParams();
    parts.set("step", step < 0 ? "start" : String(step));
    if (worlds.length > 1) parts.set("on", other ? worlds[other].name : "none");
    if (chosen) parts.set("at", chosen.id);
    if (page.language !== initialLanguage) parts.set("lang", page.language);
    return `#${parts.toString()}`;
  }

  const initialLanguage = page.language;

  function fromAddress() {
    const parts = new URLSearchParams(window.location.hash.slice(1));
    const said = parts.get("step");
    const number = said === "start" ? -1 : Number.parseInt(said, 10);
    const lang = parts.get("lang") || initialLanguage;
    const button = document.querySelector(`[data-language="${lang === "zh" ? "zh" : "en"}"]`);
    if (lang !== page.language && button) button.click();
    const on = worlds.findIndex((world) => world.name === parts.get("on"));
    other = on > 0 ? on : parts.get("on") === "none" ? 0 : worlds.length > 1 ? 1 : 0;
    const id = parts.get("at");
    chosen = id ? { world: 0, id } : null;
    return Number.isNaN(number) ? home() : number;
  }

  const home = () => {
    const found = worlds[0].finding ?? stops().find((each) => each !== null && each !== undefined);
    return found ?? difference() ?? last;
  };

  function remember(how) {
    if (address() === window.location.hash) return;
    const isQuick = performance.now() - moved < APART;
    moved = performance.now();
    window.history[how === "push" && !isQuick ? "pushState" : "replaceState"](null, "", address());
  }

  // Drawing.

  const seen = () => [0, ...(other ? [other] : [])];

  function scale(pane, svgElement, layout) {
    const roomX = pane.clientWidth - 4;
    const roomY = window.getComputedStyle(document.body).overflow === "hidden" ? pane.clientHeight - 4 : Infinity;
    const factor = Math.min(Math.max(Math.min(roomX / layout.width, roomY / layout.height), SMALLEST), LARGEST);
    svgElement.style.width = `${Math.floor(layout.width * factor)}px`;
    svgElement.style.height = `${Math.floor(layout.height * factor)}px`;
  }

  // Ids of what is not so in the world beside.
  const unlike = (at) => (at ? worlds[at].frameOf(step)?.differs : other ? worlds[other].otherDiffers[step] : []);

  function draw() {
    const focused = document.activeElement && document.activeElement.closest("[data-id]");
    const focus = focused && [focused.closest(".pane")?.dataset.world, focused.dataset.id];
    shown = seen().map((at) => makeView(worlds[at], worlds[at].indexOf(step), unlike(at)));
    $("panes").classList.toggle("two", shown.length > 1);
    document.body.classList.toggle("comparing", shown.length > 1);
    $("panes").replaceChildren(...shown.map((view, at) => pane(view, seen()[at])));
    fit();
    if (focus) document.querySelector(`.pane[data-world="${focus[0]}"] [data-id="${CSS.escape(focus[1])}"]`)?.focus();
    light();
  }

  function pane(view, at) {
    const isEnded = step > worlds[at].last;
    const parts = [h("div.canvas", { tabindex: -1 }, picture.draw(view))];
    if (shown.length > 1 || worlds.length > 1) {
      const name = h("h2", {}, h("span", {}, worlds[at].name), isEnded ? h("span.faint", {}, ` ${page.say("ended", stepName(view.frame))}`) : "");
      return h("section.pane", { "data-world": at, "aria-label": worlds[at].name }, name, h("div.banner", {}, ...panels.banner(view)), ...parts);
    }
    return h("section.pane", { "data-world": at, "aria-label": worlds[at].name }, h("div.banner", {}, ...panels.banner(view)), ...parts);
  }

  // The picture stays where it is from step to step: all steps have as much room above it as the
  // one with the most to say.
  function reserve() {
    const panes = $("panes");
    panes.style.removeProperty("--banner");
    const wordy = (world) => world.frames.reduce((most, frame, at) => ((frame.broken || []).length > (world.frames[most].broken || []).length ? at : most), 0);
    const heights = seen().map((at) => {
      const banner = panes.querySelector(`[data-world="${at}"] .banner`);
      const measured = banner.cloneNode(false);
      measured.append(...panels.banner(makeView(worlds[at], wordy(worlds[at]))));
      banner.parentElement.append(measured);
      const height = measured.offsetHeight;
      measured.remove();
      return height;
    });
    panes.style.setProperty("--banner", `${Math.min(Math.max(...heights), window.innerHeight / 3)}px`);
  }

  function fit() {
    reserve();
    document.querySelectorAll(".pane").forEach((each, at) => {
      scale(each.querySelector(".canvas"), each.querySelector("svg.picture"), shown[at].layout);
    });
  }

  function light() {
    shown.forEach((view, at) => {
      const world = seen()[at];
      const wanted = pointed && pointed.world === world ? pointed : chosen && chosen.world === world ? chosen : null;
      const root = document.querySelector(`.pane[data-world="${world}"]`);
      picture.light(root, view, wanted && wanted.id);
    });
    const about = chosen && shown[seen().indexOf(chosen.world)];
    const filled = about ? panels.details(about, chosen.id) : [];
    $("details").replaceChildren(...filled);
    $("legend").hidden = filled.length > 0;
  }

  function list() {
    const items = [];
    for (let each = first; each <= last; each += 1) {
      const frames = seen().map((at) => worlds[at].frameOf(each)).filter(Boolean);
      const frame = frames[0];
      const isFound = frames.some((one) => (one.broken || []).some((law) => !law.is_remark));
      const isRemark = frames.some((one) => (one.broken || []).length > 0);
      const signs = [
        isFound ? h("span.blamed", {}, "✗") : isRemark ? h("span.remark", {}, "!") : null,
        each === difference() ? h("span.other", {}, "≠") : null,
      ].filter(Boolean);
      const said = frame.step < 0 ? page.say("start-long") : frame.op;
      const result = frame.step < 0 || frame.returned === "0" ? "" : ` → ${frame.returned}`;
      items.push(
        h(
          "li",
          {},
          h(
            "button.row",
            { type: "button", "data-step": each },
            h("span.number", {}, each < 0 ? "" : String(each)),
            h("span.what", {}, said, h("span.faint", {}, result)),
            h("span.signs", {}, ...signs),
          ),
        ),
      );
    }
    $("steps").replaceChildren(...items);
  }

  function marks() {
    const place = (each) => `${last === first ? 0 : ((each - first) / (last - first)) * 100}%`;
    const mark = (each, sign, name, key) =>
      h(`button.mark.${name}`, { type: "button", style: `left:${place(each)}`, "data-step": each, title: page.say(key, each), tabindex: -1, "aria-hidden": "true" }, sign);
    const made = stops().filter((each) => each !== null && each !== undefined).map((each) => mark(each, "✗", "blamed", "finding-at"));
    if (difference() !== null && difference() !== undefined) made.push(mark(difference(), "≠", "other", "difference-at"));
    $("marks").replaceChildren(...made);
    const found = stops().find((each) => each !== null && each !== undefined);
    $("to-finding").hidden = found === undefined;
    $("to-difference").hidden = difference() === null || difference() === undefined;
  }

  function beside() {
    const view = shown[0];
    $("calls").replaceChildren(...shown.flatMap((each) => [...(shown.length > 1 ? [h("h3", {}, each.world.name)] : []), ...panels.calls(each, texts)]));
    $("slider").value = String(step);
    $("slider").setAttribute("aria-valuetext", `${stepName(view.frame)} ${view.frame.op || page.say("start-long")}`);
    $("count").textContent = page.say("step-of", step < 0 ? page.say("start") : `ops[${step}]`, length);
    $("live").textContent = shown.map((each) => (shown.length > 1 ? `${each.world.name}: ` : "") + panels.spoken(each)).join(" ");
    const current = $("steps").querySelector(`[data-step="${step}"]`);
    $("steps").querySelectorAll("[aria-current]").forEach((each) => each.removeAttribute("aria-current"));
    if (current) {
      current.setAttribute("aria-current", "step");
      const box = $("steps").parentElement;
      const offset = current.offsetTop - box.offsetTop;
      if (offset < box.scrollTop || offset + current.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = offset - box.clientHeight / 2;
    }
    $("back").disabled = step <= first;
    $("start").disabled = step <= first;
    $("next").disabled = step >= last;
    $("end").disabled = step >= last;
  }

  function go(to, how = "push") {
    step = Math.min(Math.max(to, first), last);
    pointed = null;
    draw();
    beside();
    remember(how);
  }

  function choose(world, id) {
    chosen = id ? { world, id } : null;
    light();
    remember("replace");
  }

  // Playing.

  function play(isOn) {
    if (timer) window.clearInterval(timer);
    timer = null;
    if (isOn) {
      if (step >= last) go(first, "push");
      timer = window.setInterval(() => (step < last ? go(step + 1, "replace") : play(false)), PLAY_EVERY);
    }
    page.put($("play"), timer ? "pause" : "play");
    $("play").setAttribute("aria-pressed", String(Boolean(timer)));
  }

  const toFinding = () => {
    const found = stops().filter((each) => each !== null && each !== undefined);
    if (found.length) go(found.find((each) => each !== step) ?? found[0]);
  };
  const toDifference = () => difference() !== null && difference() !== undefined && go(difference());

  // What the reader does.

  const KEYS = {
    ArrowLeft: () => go(step - 1),
    ArrowRight: () => go(step + 1),
    Home: () => go(first),
    End: () => go(last),
    " ": () => play(!timer),
    f: toFinding,
    d: toDifference,
    Escape: () => choose(0, null),
  };

  function isBusy(target, key) {
    if (target.matches("select, input, textarea") && !(target.id === "slider" && " fd".includes(key))) return true;
    return key === " " && Boolean(target.closest("button, summary, a, [data-id]"));
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isBusy(event.target, event.key)) {
      pressObject(event);
      return;
    }
    if (event.key === "Enter") {
      pressObject(event);
      return;
    }
    const does = KEYS[event.key];
    if (!does) return;
    if (event.key !== " " && timer) play(false);
    event.preventDefault();
    does();
  });

  function pressObject(event) {
    const thing = event.target.closest && event.target.closest("svg [data-id]");
    if (!thing || !(event.key === "Enter" || event.key === " ")) return;
    event.preventDefault();
    choose(Number(thing.closest(".pane").dataset.world), thing.dataset.id);
  }

  // A cell stands for its page, anything else for itself.
  function under(event) {
    const place = event.target.closest && event.target.closest("svg [data-page], svg [data-id]");
    if (!place) return null;
    const world = Number(place.closest(".pane").dataset.world);
    const view = shown[seen().indexOf(world)];
    const { page: mapped } = place.dataset;
    const id = mapped && view.get(mapped) ? mapped : place.closest("[data-id]")?.dataset.id;
    return id ? { world, id } : null;
  }

  function point(event) {
    const now = under(event);
    if ((now && now.id) === (pointed && pointed.id) && (now && now.world) === (pointed && pointed.world)) return;
    pointed = now;
    light();
  }

  $("panes").addEventListener("pointerover", point);
  $("panes").addEventListener("pointerleave", () => {
    pointed = null;
    light();
  });
  $("panes").addEventListener("focusin", point);
  $("panes").addEventListener("focusout", point);
  $("panes").addEventListener("click", (event) => {
    const thing = under(event);
    if (thing) choose(thing.world, chosen && chosen.id === thing.id && chosen.world === thing.world ? null : thing.id);
    else if (event.target.closest("svg")) choose(0, null);
  });

  document.addEventListener("click", (event) => {
    const to = event.target.closest("[data-step]");
    if (to) {
      play(false);
      go(Number(to.dataset.step));
      return;
    }
    const named = event.target.closest("button[data-object]");
    if (named) choose(Number(named.closest(".pane")?.dataset.world ?? (chosen ? chosen.world : 0)), named.dataset.object || null);
  });

  $("slider").min = String(first);
  $("slider").max = String(last);
  $("slider").addEventListener("input", () => go(Number($("slider").value), "replace"));
  const presses = { start: () => go(first), back: () => go(step - 1), next: () => go(step + 1), end: () => go(last), play: () => play(!timer), "to-finding": toFinding, "to-difference": toDifference };
  for (const [id, does] of Object.entries(presses)) {
    $(id).addEventListener("click", () => {
      if (id !== "play") play(false);
      does();
    });
  }

  function fillCompare() {
    $("compare-with").hidden = worlds.length < 2;
    const options = [h("option", { value: 0 }, page.say("nothing")), ...worlds.slice(1).map((world, at) => h("option", { value: at + 1 }, world.name))];
    $("compare").replaceChildren(...options);
    $("compare").value = String(other);
  }

  function all(how) {
    fillCompare();
    list();
    marks();
    go(step, how);
  }

  $("compare").addEventListener("change", () => {
    other = Number($("compare").value);
    if (chosen && chosen.world !== 0) chosen = null;
    all("push");
  });
  still.addEventListener("change", () => still.matches && play(false));
  window.addEventListener("resize", fit);
  window.addEventListener("popstate", () => {
    step = fromAddress();
    all("replace");
  });
  step = fromAddress();
  page.onLanguage(() => all("replace"));
  play(false);
  all("replace");
  if (finding) document.body.classList.add("has-finding");
})();
