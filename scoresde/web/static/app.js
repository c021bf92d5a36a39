// The page: its tabs and its theme.

import { get } from "./api.js";
import { catalogue } from "./catalogue.js";
import { colourise } from "./colourise.js";
import { complain, toast } from "./dom.js";
import { generate } from "./generate.js";
import { inpaint } from "./inpaint.js";
import { race } from "./race.js";

const tabs = [...document.querySelectorAll('[role="tab"]')];
const parts = {};

function open(name, focus = false) {
  const known = name in parts ? name : "generate";
  for (const tab of tabs) {
    const chosen = tab.getAttribute("aria-controls") === known;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    if (chosen && focus) tab.focus();
    document.getElementById(tab.getAttribute("aria-controls")).hidden = !chosen;
  }
  document.title = `${known} · scoresde`;
  parts[known].show?.();
}

for (const [i, tab] of tabs.entries()) {
  tab.addEventListener("click", () => { location.hash = tab.getAttribute("aria-controls"); });
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(i + step + tabs.length) % tabs.length].getAttribute("aria-controls");
    history.replaceState(null, "", `#${next}`);
    open(next, true);
  });
}
addEventListener("hashchange", () => {
  const name = location.hash.slice(1);
  if (!name || name in parts) open(name); // other anchors, as of the link that skips the tabs, are places in the page
});

const THEMES = { system: "Theme: system", light: "Theme: light", dark: "Theme: dark" };
const theme = document.getElementById("theme");
function paint() {
  theme.textContent = { system: "◐", light: "☀", dark: "☾" }[document.documentElement.dataset.theme];
  theme.title = THEMES[document.documentElement.dataset.theme];
  theme.setAttribute("aria-label", theme.title);
}
theme.addEventListener("click", () => {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(document.documentElement.dataset.theme) + 1) % names.length];
  document.documentElement.dataset.theme = next;
  localStorage.setItem("theme", next);
  paint();
});
paint();

let served = [];
function again(parameters) {
  if (!served.includes(parameters.model)) {
    toast(`The model ${parameters.model} is not served now: start scoresde web with it.`);
    return;
  }
  parts[parameters.task]?.again?.(parameters);
  location.hash = parameters.task;
}

try {
  const about = await get("api/about");
  served = about.models.map((model) => model.name);
  const section = (name) => document.getElementById(name);
  parts.generate = generate(section("generate"), about);
  parts.inpaint = inpaint(section("inpaint"), about);
  parts.colourise = colourise(section("colourise"), about);
  parts.race = race(section("race"), about);
  parts.catalogue = catalogue(section("catalogue"), again);
  open(location.hash.slice(1));
} catch (error) {
  document.getElementById("main").textContent = `${error.message[0].toUpperCase()}${error.message.slice(1)}.`;
  complain(error);
}
