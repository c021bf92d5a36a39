// A window on something that can be enlarged and moved in it.

import { el } from "./dom.js";

const LEVELS = [1, 1.5, 2, 3, 4, 6, 8];

export class Zoom {
  constructor(content) {
    this.content = content;
    this.level = 1;
    this.window = el("div", { class: "lens" }, content);
    const button = (text, label, by) => el("button", { type: "button", "aria-label": label, onclick: () => this.by(by) }, text);
    this.out = button("−", "Zoom out", -1);
    this.in = button("+", "Zoom in", 1);
    this.buttons = el("span", { class: "zoom" }, this.out, this.in);
    this.by(0);
  }

  // So many levels more, around what is in the middle.
  by(steps) {
    const { window: lens } = this;
    const middle = (start, shown, whole) => (start + shown / 2) / (whole || 1);
    const [x, y] = [middle(lens.scrollLeft, lens.clientWidth, lens.scrollWidth), middle(lens.scrollTop, lens.clientHeight, lens.scrollHeight)];
    this.level = LEVELS[Math.min(LEVELS.length - 1, Math.max(0, LEVELS.indexOf(this.level) + steps))];
    this.content.style.width = this.level === 1 ? "" : `${100 * this.level}%`;
    this.content.style.maxWidth = this.level === 1 ? "" : "none";
    this.out.disabled = this.level === LEVELS[0];
    this.in.disabled = this.level === LEVELS.at(-1);
    this.show(x, y);
    this.changed?.(this.level);
  }

  // Puts a place, in shares of the width and the height, into the middle.
  show(x, y) {
    const { window: lens } = this;
    lens.scrollTo(x * lens.scrollWidth - lens.clientWidth / 2, y * lens.scrollHeight - lens.clientHeight / 2);
  }
}
