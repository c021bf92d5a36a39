// Forms made of what the server says about options.

import { choice, el, labelled } from "./dom.js";

function control(field) {
  if (field.kind === "choice") {
    const options = field.choices.map((value) => [String(value), String(value)]);
    if (field.optional) options.unshift(["", "automatic"]);
    return choice(options, String(field.default ?? ""));
  }
  if (field.kind === "bool") return el("input", { type: "checkbox", checked: Boolean(field.default) });
  if (field.kind === "text") {
    const made = el("input", { type: "text", value: String(field.default ?? ""), spellcheck: false, autocomplete: "off" });
    if (field.suggestions?.length) made.title = `${field.suggestions.join(", ")}`;
    return made;
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
    this.element = el("div", { class: "chooser" }, labelled(title, this.select), this.fields, this.more);
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
    const made = this.inputs.map(([field, input]) => [field, labelled(field.name.replaceAll("_", " "), input, field.meaning)]);
    const first = ([field]) => FIRST.includes(field.name);
    this.fields.replaceChildren(...made.filter(first).map(([, each]) => each));
    this.rest.replaceChildren(...made.filter((each) => !first(each)).map(([, each]) => each));
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
}

// What a task says in place of itself where no model can do it.
export function nothing(section, text) {
  section.append(el("p", { class: "hint" }, text));
  return {};
}

// Model, number and seed, which all tasks have, beside choosers of their own.
export class Options {
  constructor(about, { count, choosers = {}, extra = [] }) {
    this.models = about.models;
    this.model = choice(this.models.map((model) => [model.name, `${model.name} · ${model.width}×${model.height}`]), this.models[0].name);
    this.count = el("input", { type: "number", min: 1, max: about.most_pictures, step: 1 });
    this.count.value = count;
    this.advice = el("p", { class: "hint" });
    const advise = () => {
      this.advice.textContent = "conditioner" in about.defaults ? this.chosen.advice : "";
      this.advice.hidden = !this.advice.textContent;
    };
    this.model.addEventListener("change", advise);
    advise();
    this.seed = el("input", { type: "number", min: 0, max: Number.MAX_SAFE_INTEGER - about.most_pictures, step: 1 });
    this.seed.value = 0;
    this.clip = el("input", { type: "checkbox" });
    this.choosers = choosers;
    this.element = el(
      "details",
      { class: "options" },
      el("summary", {}, "Options"),
      el(
        "div",
        { class: "fields" },
        labelled("seed", this.seed, "Picture i has the seed + i; the same seed draws the same picture."),
        labelled("clip", this.clip, "Cut predicted data off at black and white."),
        ...extra,
      ),
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
  }

  // The model that is chosen.
  get chosen() {
    return this.models.find((model) => model.name === this.model.value);
  }

  // What stands beside the pictures: the button, these options, and what a task adds to them.
  controls(button, ...extra) {
    return el("div", { class: "controls" }, button, labelled("model", this.model), this.advice, labelled("pictures", this.count), ...extra, this.element);
  }

  next() {
    this.seed.value = Number(this.seed.value) + Number(this.count.value);
  }
}
