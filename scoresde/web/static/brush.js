// A picture on which a hole is painted, by pointer or by keys.

import { data, el } from "./dom.js";


export class Brush {
  constructor(changed) {
    this.changed = changed;
    this.canvas = el("canvas", {
      class: "paper",
      tabindex: "0",
      role: "img",
      "aria-label": "Picture to paint on: move with the arrow keys, paint with space, undo with z",
    });
    this.undone = [];
    this.size = 3;
    this.erasing = false;
    this.cursor = null;
    this.last = null;
    const canvas = this.canvas;
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.mask || event.button) return;
      event.preventDefault();
      canvas.focus({ preventScroll: true });
      canvas.setPointerCapture(event.pointerId);
      this.remember();
      this.last = this.place(event);
      this.paint(this.last, this.last);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.mask) return;
      const at = this.place(event);
      this.cursor = at;
      if (this.last) {
        this.paint(this.last, at);
        this.last = at;
      } else this.redraw();
    });
    for (const name of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(name, () => { this.last = null; this.changed(); });
    }
    canvas.addEventListener("pointerleave", () => { this.cursor = null; this.redraw(); });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  // A new picture; the hole stays where the size is the same and `keep` is set.
  async show(png, width, height, mask) {
    const picture = new Image();
    picture.src = data(png);
    await picture.decode();
    this.picture = picture;
    [this.width, this.height] = [width, height];
    this.side = Math.max(1, Math.min(8, Math.floor(1024 / Math.max(width, height)))); // canvas pixels for one
    this.canvas.width = width * this.side;
    this.canvas.height = height * this.side;
    this.mask = mask || new Uint8Array(width * height);
    this.undone = [];
    this.redraw();
    this.changed();
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * this.width, ((event.clientY - box.top) / box.height) * this.height];
  }

  key(event) {
    if (!this.mask) return;
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    this.cursor ||= [this.width / 2, this.height / 2];
    if (event.key in steps) {
      const [x, y] = steps[event.key];
      this.cursor = [
        Math.min(this.width - 0.5, Math.max(0.5, Math.floor(this.cursor[0]) + 0.5 + x)),
        Math.min(this.height - 0.5, Math.max(0.5, Math.floor(this.cursor[1]) + 0.5 + y)),
      ];
      this.redraw();
    } else if (event.key === " ") {
      this.remember();
      this.paint(this.cursor, this.cursor);
      this.changed();
    } else if (event.key === "z") this.undo();
    else return;
    event.preventDefault();
  }

  remember() {
    this.undone.push(this.mask.slice());
    if (this.undone.length > 50) this.undone.shift();
  }

  // A stroke between two places, as wide as the brush.
  paint([x0, y0], [x1, y1]) {
    const radius = Math.max(0.5, this.size / 2);
    const steps = Math.max(1, Math.ceil(Math.hypot(x1 - x0, y1 - y0) * 2));
    for (let i = 0; i <= steps; i += 1) {
      const [x, y] = [x0 + ((x1 - x0) * i) / steps, y0 + ((y1 - y0) * i) / steps];
      for (let row = Math.max(0, Math.floor(y - radius)); row < Math.min(this.height, y + radius); row += 1) {
        for (let column = Math.max(0, Math.floor(x - radius)); column < Math.min(this.width, x + radius); column += 1) {
          const inside = Math.hypot(column + 0.5 - x, row + 0.5 - y) <= radius;
          const under = Math.floor(x) === column && Math.floor(y) === row;
          if (inside || under) this.mask[row * this.width + column] = this.erasing ? 0 : 1;
        }
      }
    }
    this.redraw();
  }

  undo() {
    if (!this.undone.length) return;
    this.mask = this.undone.pop();
    this.redraw();
    this.changed();
  }

  clear() {
    if (!this.mask) return;
    this.remember();
    this.mask = new Uint8Array(this.width * this.height);
    this.redraw();
    this.changed();
  }

  get painted() {
    return this.mask ? this.mask.reduce((sum, bit) => sum + bit, 0) : 0;
  }

  // A bit for each pixel, row by row, as the server reads them.
  get bits() {
    const bytes = new Uint8Array(Math.ceil(this.mask.length / 8));
    this.mask.forEach((bit, i) => { bytes[i >> 3] |= bit << (7 - (i & 7)); });
    return btoa(bytes.reduce((text, byte) => text + String.fromCharCode(byte), ""));
  }

  static read(bits, count) {
    const bytes = Uint8Array.from(atob(bits), (letter) => letter.charCodeAt(0));
    return Uint8Array.from({ length: count }, (_, i) => (bytes[i >> 3] >> (7 - (i & 7))) & 1);
  }

  redraw() {
    if (!this.mask) return;
    const [pen, side] = [this.canvas.getContext("2d"), this.side];
    pen.imageSmoothingEnabled = false;
    pen.drawImage(this.picture, 0, 0, this.canvas.width, this.canvas.height);
    for (let i = 0; i < this.mask.length; i += 1) {
      if (!this.mask[i]) continue;
      const [x, y] = [(i % this.width) * side, Math.floor(i / this.width) * side];
      pen.fillStyle = "rgba(232, 93, 68, 0.82)";
      pen.fillRect(x, y, side, side);
    }
    if (this.cursor) {
      const radius = Math.max(0.5, this.size / 2) * side;
      for (const [colour, width] of [["#000", 3], ["#fff", 1.5]]) {
        pen.strokeStyle = colour;
        pen.lineWidth = width;
        pen.beginPath();
        pen.arc(this.cursor[0] * side, this.cursor[1] * side, radius, 0, 2 * Math.PI);
        pen.stroke();
      }
    }
  }
}
