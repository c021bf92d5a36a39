// The page: its tabs and its theme.

import { get } from "./api.js";
import { catalogue } from "./catalogue.js";
import { complain, el, sentence, toast, toggle } from "./dom.js";
import { share } from "./share.js";

const tabs = new Map(); // by name: the button, the section, and once its script has run, what the tab can do
const main = document.getElementById("main");

function add(name, label) {
  const go = () => { location.hash = name; };
  const button = el("button", { role: "tab", id: `tab-${name}`, "aria-controls": name, onclick: go, onkeydown: step }, label);
  const section = el("section", { role: "tabpanel", id: name, "aria-labelledby": button.id, hidden: true });
  document.querySelector('[role="tablist"]').append(button);
  main.append(section);
  tabs.set(name, { button, section });
}

function step(event) {
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!by) return;
  const names = [...tabs.keys()];
  const next = names.at((names.indexOf(event.target.getAttribute("aria-controls")) + by) % names.length);
  history.replaceState(null, "", `#${next}`);
  open(next, true);
}

function open(name, focus = false) {
  const known = tabs.has(name) ? name : tabs.keys().next().value;
  if (tabs.get(known).section.hidden) scrollTo(0, 0); // every tab begins at its top
  for (const [each, { button, section }] of tabs) {
    const chosen = each === known;
    button.setAttribute("aria-selected", String(chosen));
    button.tabIndex = chosen ? 0 : -1;
    if (chosen && focus) button.focus();
    section.hidden = !chosen;
  }
  document.title = `${tabs.get(known).button.textContent} · scoresde`;
  tabs.get(known).does?.show?.();
}

const expert = toggle("expert", "Expert");
expert.setAttribute("aria-label", "Expert: all options, under their technical names");
document.getElementById("theme").before(expert);

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

// A file that misses its place must not open in the place of the page.
for (const name of ["dragover", "drop"]) {
  addEventListener(name, (event) => { if (event.dataTransfer?.types.includes("Files")) event.preventDefault(); });
}

function again(parameters, served) {
  if (!served.some((model) => model.name === parameters.model)) {
    toast(`The model ${parameters.model} is not served now: start scoresde web with it.`);
    return;
  }
  tabs.get(parameters.task)?.does?.again?.(parameters);
  location.hash = parameters.task;
}

try {
  const about = await get("api/about");
  for (const { name, label } of about.tabs) add(name, label);
  add("catalogue", "Catalogue");
  open(location.hash.slice(1));
  addEventListener("hashchange", () => {
    const name = location.hash.slice(1);
    if (!name || tabs.has(name)) open(name); // other anchors, as of the link that skips the tabs, are places in the page
  });
  const scripts = await Promise.all(about.tabs.map(({ name }) => import(`./${name}.js`)));
  for (const [i, { models, ...rest }] of about.tabs.entries()) {
    const tab = tabs.get(rest.name);
    const offered = about.models.filter((model) => models.includes(model.name));
    tab.does = scripts[i].default(tab.section, { ...about, ...rest, models: offered });
  }
  const last = tabs.get("catalogue");
  last.does = catalogue(last.section, (parameters) => again(parameters, about.models));
  open(location.hash.slice(1));
  share(expert).catch(complain);
} catch (error) {
  main.textContent = sentence(error);
  complain(error);
}
