// SPDX-License-Identifier: GPL-2.0-only
// Light or dark as the system has it, or as the reader says: the rules for dark are told to hold
// always or never.
(() => {
  const DARK = "screen and (prefers-color-scheme: dark)";
  const media = { auto: DARK, dark: "screen", light: "not all" };
  const rules = [...document.styleSheets]
    .flatMap((sheet) => [...sheet.cssRules])
    .filter((rule) => rule.media && rule.media.mediaText === DARK);
  const select = document.getElementById("theme");
  select.addEventListener("change", () => {
    for (const rule of rules) rule.media.mediaText = media[select.value];
    document.documentElement.style.colorScheme = select.value === "auto" ? "" : select.value;
  });
})();
