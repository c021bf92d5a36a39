// Which classes are drawn: chips with their names and a line in which words find them, or a field for their numbers.

import { get } from "./api.js";
import { el, fresh, labelled, sentence } from "./dom.js";

export class Classes {
  // `most` may be chosen at once; `draw` is called when words have found some, `changed` when others are chosen.
  constructor({ most, draw, changed }) {
    Object.assign(this, { most, draw, changed, names: [], chosen: [] });
    this.element = el("div", { class: "wish" });
    this.field = el("input", { type: "text", placeholder: "any", inputmode: "numeric", autocomplete: "off" });
    this.numbers = labelled("class", this.field);
  }

  // Offers the classes of a model.
  begin({ name, classes, class_names }) {
    Object.assign(this, { model: name, names: class_names });
    this.numbers.hidden = !classes || this.names.length > 0;
    this.element.replaceChildren(...(this.names.length ? this.#offered() : []));
    this.show([]);
  }

  #offered() {
    const id = fresh("wish");
    const some = this.names.filter((each) => /^[a-z]+$/i.test(each)).slice(0, 3);
    const words = el("input", { id, type: "text", maxlength: 200, autocomplete: "off", enterkeyhint: "go", placeholder: some.join(", ").toLowerCase() });
    this.answer = el("p", { class: "hint error", role: "alert" });
    const find = (event) => {
      event.preventDefault();
      this.#find(words.value);
    };
    const chip = (text, does) => el("button", { type: "button", class: "chip", onclick: does }, text);
    const toggled = (name) => (this.chosen.includes(name) ? this.chosen.filter((each) => each !== name) : [...this.chosen, name]);
    this.any = chip("any", () => this.#choose([]));
    this.chips = this.names.map((name) => chip(name, () => this.#choose(toggled(name))));
    return [
      el("form", { onsubmit: find }, el("label", { for: id }, "Draw me a …"), words, el("button", {}, "Draw")),
      this.answer,
      el("div", { class: "chips", role: "group", "aria-label": "What is drawn" }, this.any, ...this.chips),
    ];
  }

  async #find(text) {
    const model = this.model;
    try {
      const { classes } = await get(`api/classes?${new URLSearchParams({ model_name: model, text })}`);
      if (model !== this.model) return;
      this.#choose(classes);
      this.draw();
    } catch (error) {
      this.answer.textContent = sentence(error);
    }
  }

  #choose(classes) {
    this.show(classes);
    this.changed();
  }

  // The classes that are chosen, by name if they have one; empty for any.
  get value() {
    if (this.names.length) return this.chosen;
    return this.numbers.hidden ? [] : this.field.value.split(/[\s,]+/).filter(Boolean).map(Number);
  }

  show(classes) {
    this.field.value = classes.join(", ");
    if (!this.names.length) return;
    this.chosen = classes.map((each) => (typeof each === "number" ? this.names[each] : each)).slice(0, this.most);
    this.answer.textContent = "";
    this.any.setAttribute("aria-pressed", String(!this.chosen.length));
    this.chips.forEach((chip, i) => chip.setAttribute("aria-pressed", String(this.chosen.includes(this.names[i]))));
  }
}
