// SPDX-License-Identifier: GPL-2.0-only
// The page: which step, which worlds, which object; keys, slider, list, address.
(() => {
  const { h } = panels;
  const { worlds: given, texts, length } = page.data;
  const worlds = given.map(makeWorld);
  const $ = (id) => document.getElementById(id);
  const first = Math.min(...worlds.map((world) => world.first));
  const last = Math.max(...worlds.map((world) => world.last));
  const still = window.matchMedia("(prefers-reduced-motion: reduce)");
  const readersLanguage = page.language;
  const PLAY_EVERY = 1400;
  const APART = 400; // Steps made faster than that are one entry of the browser's history.

  let step = last;
  let other = 0; // Index of the world beside the first; 0 for none.
  let chosen = null; // {world, id}: clicked.
  let pointed = null; // The same: hovered or focused.
  let timer = null;
  let moved = 0;
  let shown = [];

  const seen = () => [0, ...(other ? [other] : [])];
  const difference = () => (other ? worlds[other].difference : null);
  const findings = () =>
    seen()
      .map((at) => worlds[at].finding)
      .filter((each) => each !== null);
  const home = () => findings()[0] ?? difference() ?? last;

  // The address: #step=6&on=v6.1&at=page#4&lang=zh, each only where it is not what it would be.

  function address() {
    const parts = new URLSearchParams({ step: step < 0 ? "start" : String(step) });
    if (worlds.length > 1) parts.set("on", other ? worlds[other].name : "none");
    if (chosen) parts.set("at", chosen.id);
    if (chosen && chosen.world) parts.set("in", worlds[chosen.world].name);
    if (page.language !== readersLanguage) parts.set("lang", page.language);
    return `#${parts.toString()}`;
  }

  function readAddress() {
    const parts = new URLSearchParams(window.location.hash.slice(1));
    const worldNamed = (name) =>
      Math.max(
        worlds.findIndex((world) => world.name === name),
        0,
      );
    const language = parts.get("lang") === "zh" ? "zh" : parts.get("lang") ? "en" : readersLanguage;
    if (language !== page.language) document.querySelector(`[data-language="${language}"]`).click();
    other = parts.has("on") ? worldNamed(parts.get("on")) : Math.min(1, worlds.length - 1);
    chosen = parts.has("at") ? { world: worldNamed(parts.get("in")), id: parts.get("at") } : null;
    const said = parts.get("step");
    const number = said === "start" ? -1 : Number.parseInt(said, 10);
    step = Number.isNaN(number) ? home() : Math.min(Math.max(number, first), last);
  }

  function remember(how) {
    if (address() === window.location.hash) return;
    const isQuick = performance.now() - moved < APART;
    moved = performance.now();
    window.history[how === "push" && !isQuick ? "pushState" : "replaceState"](null, "", address());
  }

  // Drawing.

  // Ids of what is not so in the world beside.
  function unlike(at) {
    if (at) return (worlds[at].frameOf(step) || {}).differs;
    return other ? worlds[other].otherDiffers[step] : [];
  }

  function pane(view, at) {
    const { name } = worlds[at];
    const ended = step > worlds[at].last ? ` ${page.say("ended", stepName(view.frame))}` : "";
    return h(
      "section.pane",
      { "data-world": at, "aria-label": name },
      worlds.length > 1 && h("h2", { title: name }, name, h("span.faint", {}, ended)),
      h("div.banner", {}, ...panels.banner(view)),
      h("div.canvas", { tabindex: -1 }, picture.draw(view)),
    );
  }

  function draw() {
    const focus = document.activeElement && place(document.activeElement);
    shown = seen().map((at) => makeView(worlds[at], worlds[at].indexOf(step), unlike(at)));
    $("panes").classList.toggle("two", shown.length > 1);
    document.body.classList.toggle("comparing", shown.length > 1);
    document.body.classList.toggle("filling", shown.length === 1);
    $("panes").replaceChildren(...shown.map((view, at) => pane(view, seen()[at])));
    fitting.fit(shown);
    fitting.reveal();
    if (focus) {
      const now = `.pane[data-world="${focus.world}"] [data-id="${CSS.escape(focus.id)}"]`;
      const thing = document.querySelector(now);
      if (thing) thing.focus();
    }
    light();
    inspect();
  }

  function light() {
    shown.forEach((view, at) => {
      const world = seen()[at];
      const wanted = [pointed, chosen].find((each) => each && each.world === world);
      const root = document.querySelector(`.pane[data-world="${world}"]`);
      picture.light(root, view, wanted && wanted.id);
    });
  }

  // The fields of what was chosen; what is only pointed at does not disturb whoever reads them.
  function inspect() {
    const about = chosen && shown[seen().indexOf(chosen.world)];
    const filled = about ? panels.details(about, chosen.id) : [];
    $("details").replaceChildren(...filled);
    $("legend").hidden = filled.length > 0;
  }

  function calls(view) {
    const head = shown.length > 1 ? [h("h3", {}, view.world.name)] : [];
    return [...head, ...panels.calls(view, texts)];
  }

  function spoken(view) {
    return `${shown.length > 1 ? `${view.world.name}: ` : ""}${panels.spoken(view)}`;
  }

  function beside() {
    const [{ frame }] = shown;
    const name = step < 0 ? page.say("start") : `ops[${step}]`;
    $("calls").replaceChildren(...shown.flatMap(calls));
    $("slider").value = String(step);
    $("slider").setAttribute("aria-valuetext", `${name} ${frame.op || page.say("start-long")}`);
    $("count").textContent = page.say("step-of", name, length);
    $("live").textContent = shown.map(spoken).join(" ");
    stepList.show(step);
    for (const id of ["back", "start"]) $(id).disabled = step <= first;
    for (const id of ["next", "end"]) $(id).disabled = step >= last;
  }

  function go(to, how = "push") {
    step = Math.min(Math.max(to, first), last);
    pointed = null;
    draw();
    beside();
    remember(how);
  }

  // All that depends on more than the step.
  function all(how) {
    $("compare-with").hidden = worlds.length < 2;
    $("compare").replaceChildren(
      h("option", { value: 0 }, page.say("nothing")),
      ...worlds.slice(1).map((world, at) => h("option", { value: at + 1 }, world.name)),
    );
    $("compare").value = String(other);
    stepList.fill(
      seen().map((at) => worlds[at]),
      first,
      last,
      difference(),
    );
    stepList.mark(findings(), first, last, difference());
    go(step, how);
  }

  function choose(thing) {
    chosen = thing;
    light();
    inspect();
    remember("replace");
  }

  // Playing: for who has asked for no motion, a step at a time.

  function play(isOn) {
    if (timer) window.clearInterval(timer);
    timer = null;
    if (isOn) {
      if (step >= last) go(first);
      else if (still.matches) go(step + 1);
      if (!still.matches) timer = window.setInterval(playOn, PLAY_EVERY);
    }
    page.put($("play"), timer ? "pause" : "play");
    $("play").setAttribute("aria-pressed", String(Boolean(timer)));
  }

  function playOn() {
    if (step < last) go(step + 1, "replace");
    else play(false);
  }

  function toFinding() {
    const found = findings();
    if (found.length) go(found.find((each) => each !== step) ?? found[0]);
  }

  const toDifference = () => difference() !== null && go(difference());

  // What the reader does.

  const KEYS = {
    ArrowLeft: () => go(step - 1),
    ArrowRight: () => go(step + 1),
    Home: () => go(first),
    End: () => go(last),
    " ": () => play(!timer),
    f: toFinding,
    d: toDifference,
    Escape: () => choose(null),
  };

  // The object that something on the page is about: a cell stands for its page.
  function place(element) {
    const found = element.closest("svg [data-page], svg [data-id]");
    const within = found && found.closest(".pane");
    if (!within) return null;
    const world = Number(within.dataset.world);
    const view = shown[seen().indexOf(world)];
    const mapped = found.dataset.page;
    const id = mapped && view.get(mapped) ? mapped : found.closest("[data-id]").dataset.id;
    return { world, id };
  }

  const isSame = (one, two) =>
    one === two || Boolean(one && two && one.id === two.id && one.world === two.world);

  // Whether an element does something of its own with a key.
  function takes(element, key) {
    if (element.id === "slider") return !" fd".includes(key) && key !== "Escape";
    if (element.matches("select")) return true;
    return key === " " && element.closest("button, summary, a") !== null;
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const thing = ["Enter", " "].includes(event.key) && place(event.target);
    if (thing) {
      event.preventDefault();
      choose(isSame(thing, chosen) ? null : thing);
      return;
    }
    const does = takes(event.target, event.key) ? null : KEYS[event.key];
    if (!does) return;
    event.preventDefault();
    if (event.key !== " ") play(false);
    does();
  });

  function point(thing) {
    if (isSame(thing, pointed)) return;
    pointed = thing;
    light();
  }

  $("panes").addEventListener("pointerover", (event) => point(place(event.target)));
  $("panes").addEventListener("pointerleave", () => point(null));
  $("panes").addEventListener("focusin", (event) =>
    point(event.target.matches(":focus-visible") ? place(event.target) : null),
  );
  $("panes").addEventListener("focusout", () => point(null));

  document.addEventListener("click", (event) => {
    const to = event.target.closest("[data-step]");
    const named = event.target.closest("button[data-object]");
    if (to) {
      play(false);
      go(Number(to.dataset.step));
    } else if (named) {
      const within = named.closest(".pane");
      const world = within ? Number(within.dataset.world) : chosen ? chosen.world : 0;
      choose(named.dataset.object ? { world, id: named.dataset.object } : null);
    } else if (event.target.closest("svg.picture")) {
      const thing = place(event.target);
      choose(isSame(thing, chosen) ? null : thing);
    }
  });

  const PRESSES = {
    start: () => go(first),
    back: () => go(step - 1),
    next: () => go(step + 1),
    end: () => go(last),
    "to-finding": toFinding,
    "to-difference": toDifference,
  };
  for (const [id, does] of Object.entries(PRESSES)) {
    $(id).addEventListener("click", () => {
      play(false);
      does();
    });
  }
  $("play").addEventListener("click", () => play(!timer));
  $("slider").min = String(first);
  $("slider").max = String(last);
  $("slider").addEventListener("input", () => go(Number($("slider").value), "replace"));
  $("compare").addEventListener("change", () => {
    other = Number($("compare").value);
    if (chosen && chosen.world !== 0) chosen = null;
    all("push");
  });
  still.addEventListener("change", () => play(false));
  window.addEventListener("resize", () => fitting.fit(shown));
  window.addEventListener("popstate", () => {
    readAddress();
    all("replace");
  });
  readAddress();
  page.onLanguage(() => all("replace"));
  play(false);
  all("replace");
})();
