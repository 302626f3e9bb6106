// SPDX-License-Identifier: GPL-2.0-only
// What every page does: hold its data, and say its words in the reader's language.
//
//   page.data              what the page was made from
//   page.say(key, ...args) the text of a key, {0} {1} filled in
//   page.language          "en" or "zh"
//   page.onLanguage(f)     f is called whenever the language changes
//   page.put(element, key, ...args)   the text of an element, kept in the reader's language
const page = (() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const texts = read("page-text");
  const listeners = [];
  let language = /^zh\b/i.test(navigator.language || "") ? "zh" : "en";

  function say(key, ...args) {
    const text = texts[key][language === "zh" ? 1 : 0];
    return text.replace(/\{(\d)\}/g, (whole, number) => String(args[number] ?? whole));
  }

  // Every element with data-NAME, and its text in the language of the moment.
  function* saying(name) {
    for (const element of document.querySelectorAll(`[data-${name}]`)) {
      const args = JSON.parse(element.getAttribute(`data-${name}-args`) || "[]");
      yield [element, say(element.getAttribute(`data-${name}`), ...args)];
    }
  }

  function show() {
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
    for (const [element, text] of saying("say")) element.textContent = text;
    for (const [element, text] of saying("say-label")) element.setAttribute("aria-label", text);
    for (const [element, text] of saying("say-title")) element.title = text;
    for (const button of document.querySelectorAll("[data-language]")) {
      button.setAttribute("aria-pressed", String(button.dataset.language === language));
    }
    listeners.forEach((listener) => listener(language));
  }

  function put(element, key, ...args) {
    element.dataset.say = key;
    element.dataset.sayArgs = JSON.stringify(args);
    element.textContent = say(key, ...args);
  }

  for (const button of document.querySelectorAll("[data-language]")) {
    button.addEventListener("click", () => {
      language = button.dataset.language;
      show();
    });
  }
  show();
  return {
    data: read("page-data"),
    say,
    put,
    onLanguage: (listener) => listeners.push(listener),
    get language() {
      return language;
    },
  };
})();
