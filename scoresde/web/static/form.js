// Forms made of what the server says about options.

import { choice, el, labelled, segments } from "./dom.js";
import { Quality } from "./quality.js";
import { plain } from "./words.js";

function control(field) {
  if (field.kind === "choice") {
    const options = field.choices.map((value) => [String(value), String(value)]);
    if (field.optional) options.unshift(["", "automatic"]);
    return choice(options, String(field.default ?? ""));
  }
  if (field.kind === "bool") return el("input", { type: "checkbox", checked: Boolean(field.default) });
  if (field.kind === "text") {
    return el("input", { type: "text", value: String(field.default ?? ""), spellcheck: false, autocomplete: "off" });
  }
  const made = el("input", { type: "number", inputmode: "decimal", step: field.kind === "int" ? "1" : "any" });
  made.value = field.default ?? "";
  if (field.optional) made.placeholder = "automatic";
  if (field.least !== undefined) made.min = field.least;
  if (field.greatest !== undefined) made.max = field.greatest;
  return made;
}

function read(field, input) {
  if (field.kind === "bool") return input.checked;
  if (input.value === "") return null;
  if (field.kind === "int" || field.kind === "float") return Number(input.value);
  if (field.kind === "choice") return field.choices.find((value) => String(value) === input.value);
  return input.value;
}

function explained({ meaning, suggestions }) {
  return suggestions?.length ? `${meaning} One of ${suggestions.join(", ")}.` : meaning;
}

const FIRST = ["steps", "tol", "nfe", "eta", "kind", "products", "rate"]; // what is mostly changed; the rest is folded away

// A choice among classes with the options of the chosen one; `value` is what the server builds it from.
export class Chooser {
  constructor(title, classes, preset) {
    this.classes = classes;
    this.preset = preset;
    this.select = choice(classes.map((each) => [each.name, each.name]), preset.name);
    this.select.addEventListener("change", () => this.show({ name: this.select.value }));
    this.summary = el("p", { class: "hint" });
    this.fields = el("div", { class: "fields" });
    this.rest = el("div", { class: "fields" });
    this.more = el("details", { class: "more" }, el("summary", {}, "More"), this.summary, this.rest);
    this.more.classList.add("expert");
    this.element = el("div", { class: plain(title) ? "chooser" : "chooser expert" }, labelled(title, this.select), this.fields, this.more);
    this.changed = () => {};
    this.element.addEventListener("input", () => this.changed());
    this.show(preset);
  }

  show(table) {
    const chosen = this.classes.find((each) => each.name === table.name);
    if (!chosen) return;
    const { name, ...given } = table.name === this.preset.name ? { ...this.preset, ...table } : table;
    this.select.value = name;
    this.summary.textContent = chosen.summary;
    this.inputs = chosen.fields.map((field) => {
      const input = control(field);
      if (field.name in given) {
        if (field.kind === "bool") input.checked = given[field.name];
        else input.value = given[field.name] ?? "";
      }
      return [field, input];
    });
    const made = this.inputs.map(([field, input]) => [field, labelled(field.name, input, explained(field))]);
    for (const [field, each] of made) each.classList.toggle("expert", !plain(field.name));
    const first = ([field]) => FIRST.includes(field.name);
    this.fields.replaceChildren(...made.filter(first).map(([, each]) => each));
    this.rest.replaceChildren(...made.filter((each) => !first(each)).map(([, each]) => each));
    this.changed();
  }

  // Another class, or other options, as what to begin with.
  begin(table) {
    if (JSON.stringify(table) === JSON.stringify(this.preset)) return;
    this.preset = table;
    this.show(table);
  }

  get value() {
    const table = { name: this.select.value };
    for (const [field, input] of this.inputs) {
      const value = read(field, input);
      if (value !== null && value !== field.default) table[field.name] = value;
    }
    return table;
  }

  // The value with the number of steps, even where it is the usual one.
  get whole() {
    const { name, steps, ...rest } = this.value;
    const [field, input] = this.inputs.find(([each]) => each.name === "steps") || [];
    return { name, ...(field ? { steps: read(field, input) } : {}), ...rest };
  }
}

// What a task says in place of itself where no model can do it.
export function nothing(section, text) {
  section.append(el("p", { class: "hint" }, text));
  return {};
}

// Model, quality, number and seed, which all tasks have, beside choosers of their own.
export class Options {
  constructor(about, { count, choosers = {}, extra = [] }) {
    this.models = about.models;
    this.model = choice(this.models.map((model) => [model.name, `${model.name} · ${model.width}×${model.height}`]), this.models[0].name);
    this.count = el("input", { type: "number", min: 1, max: about.most_pictures, step: 1 });
    this.count.value = count;
    this.advice = el("p", { class: "hint" });
    this.seed = el("input", { type: "number", min: 0, max: Number.MAX_SAFE_INTEGER - about.most_pictures, step: 1 });
    this.seed.value = 0;
    this.drawn = null; // the seed of what was drawn last
    this.seeds = segments("seed", [["new", "New seed"], ["same", "Same seed"]], "new", (wanted) => {
      if (this.drawn !== null) this.seed.value = wanted === "same" ? this.drawn : this.drawn + Number(this.count.value);
    });
    this.clip = el("input", { type: "checkbox" });
    this.choosers = choosers;
    const simple = choosers.solver && about.presets?.length;
    this.quality = simple ? new Quality(about, choosers.solver, () => this.chosen, this.count) : null;
    const changed = () => {
      this.advice.textContent = "conditioner" in about.defaults ? this.chosen.advice : "";
      this.advice.hidden = !this.advice.textContent;
      this.quality?.show();
    };
    this.model.addEventListener("change", changed);
    changed();
    const clip = labelled("clip", this.clip, "Cut predicted data off at black and white.");
    clip.classList.add("expert");
    this.element = el(
      "details",
      { class: "options" },
      el("summary", {}, "Options"),
      el("div", { class: "fields" }, labelled("seed", this.seed, "Picture i has the seed + i; the same seed draws the same picture."), clip, ...extra),
      ...Object.values(choosers).map((chooser) => chooser.element),
    );
  }

  get value() {
    const value = { model: this.model.value, count: Number(this.count.value), seed: Number(this.seed.value) };
    if (this.clip.checked) value.clip = true;
    for (const [key, chooser] of Object.entries(this.choosers)) value[key] = chooser.value;
    return value;
  }

  show(value) {
    this.model.value = value.model;
    this.count.value = value.count ?? 1;
    this.seed.value = value.seed ?? 0;
    this.clip.checked = Boolean(value.clip);
    for (const [key, chooser] of Object.entries(this.choosers)) if (value[key]) chooser.show(value[key]);
    this.quality?.show();
  }

  // The model that is chosen.
  get chosen() {
    return this.models.find((model) => model.name === this.model.value);
  }

  // What stands beside the pictures: the button, these options, and what a task adds to them.
  controls(button, ...extra) {
    const [model, pictures] = [labelled("model", this.model), labelled("pictures", this.count)];
    return el("div", { class: "controls" }, button, this.seeds, model, this.advice, this.quality?.element, pictures, ...extra, this.element);
  }

  // Called after a drawing: the next one has other seeds, unless the same are wanted.
  next() {
    this.drawn = Number(this.seed.value);
    if (this.seeds.value === "new") this.seed.value = this.drawn + Number(this.count.value);
  }
}
