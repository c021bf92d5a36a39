// A picture on which a hole is painted, by pointer or by keys, at the picture's own resolution.

import { data, el } from "./dom.js";

const HOLE = [232, 93, 68, 210]; // its colour and opacity
const REMEMBERED = 20; // strokes that can be undone
const THIRD = 1 / 3; // of the shorter side of the picture: the widest brush

export class Brush {
  constructor(changed) {
    this.changed = changed;
    this.canvas = el("canvas", {
      class: "paper",
      tabindex: "0",
      role: "img",
      "aria-label": "Picture to paint on: move with the arrow keys, with shift by one pixel, paint with space, undo with z",
    });
    this.hole = el("canvas");
    this.undone = [];
    this.share = 0.4;
    this.erasing = false;
    this.moving = false;
    this.cursor = null;
    this.last = null;
    const canvas = this.canvas;
    canvas.addEventListener("pointerdown", (event) => {
      if (!this.mask || this.moving || event.button) return;
      event.preventDefault();
      canvas.focus({ preventScroll: true });
      canvas.setPointerCapture(event.pointerId);
      this.remember();
      this.last = this.place(event);
      this.paint(this.last, this.last);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!this.mask || this.moving) return;
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

  // A new picture, with its hole: a byte for each pixel, 1 in the hole, or a text of bits. One of another size is left out.
  async show(png, mask) {
    const picture = new Image();
    picture.src = data(png);
    await picture.decode();
    this.picture = picture;
    const [width, height] = [picture.naturalWidth, picture.naturalHeight];
    [this.width, this.height] = [width, height];
    this.side = Math.max(1, Math.min(8, Math.floor(1024 / Math.max(width, height)))); // canvas pixels for one
    this.canvas.width = width * this.side;
    this.canvas.height = height * this.side;
    this.canvas.classList.toggle("small", Math.max(width, height) <= 128);
    [this.hole.width, this.hole.height] = [width, height];
    this.undone = [];
    this.cursor = null;
    const hole = typeof mask === "string" ? Brush.read(mask, width * height) : mask;
    this.set(hole?.length === width * height ? hole : new Uint8Array(width * height));
  }

  // Pixels across the brush, from one to a third of the picture.
  get pixels() {
    return Math.max(1, Math.round(THIRD * Math.min(this.width, this.height) * this.share ** 2));
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
      const by = event.shiftKey ? 1 : Math.max(1, Math.floor(this.pixels / 2));
      const [x, y] = steps[event.key].map((each) => each * by);
      const inside = (value, most) => Math.min(most - 0.5, Math.max(0.5, value));
      this.cursor = [inside(Math.floor(this.cursor[0]) + 0.5 + x, this.width), inside(Math.floor(this.cursor[1]) + 0.5 + y, this.height)];
      this.redraw();
      this.reveal?.(this.cursor[0] / this.width, this.cursor[1] / this.height);
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
    if (this.undone.length > REMEMBERED) this.undone.shift();
  }

  // A stroke between two places: the pixels that are at most half of the brush's width from it.
  paint([x0, y0], [x1, y1]) {
    const radius = Math.max(0.71, this.pixels / 2);
    const [left, top] = [Math.max(0, Math.floor(Math.min(x0, x1) - radius)), Math.max(0, Math.floor(Math.min(y0, y1) - radius))];
    const right = Math.min(this.width, Math.ceil(Math.max(x0, x1) + radius));
    const bottom = Math.min(this.height, Math.ceil(Math.max(y0, y1) + radius));
    const [dx, dy] = [x1 - x0, y1 - y0];
    const length = dx * dx + dy * dy;
    for (let row = top; row < bottom; row += 1) {
      for (let column = left; column < right; column += 1) {
        const [x, y] = [column + 0.5 - x0, row + 0.5 - y0];
        const along = length ? Math.min(1, Math.max(0, (x * dx + y * dy) / length)) : 0;
        if (Math.hypot(x - along * dx, y - along * dy) <= radius) this.mask[row * this.width + column] = this.erasing ? 0 : 1;
      }
    }
    this.colour(left, top, right - left, bottom - top);
    this.redraw();
  }

  undo() {
    if (this.undone.length) this.set(this.undone.pop());
  }

  clear() {
    if (!this.mask) return;
    this.remember();
    this.set(new Uint8Array(this.width * this.height));
  }

  set(mask) {
    this.mask = mask;
    this.colour(0, 0, this.width, this.height);
    this.redraw();
    this.changed();
  }

  get painted() {
    return Boolean(this.mask?.includes(1));
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

  // The picture and its hole, small, without the cursor.
  get seen() {
    const scale = Math.min(1, 512 / Math.max(this.canvas.width, this.canvas.height));
    const made = el("canvas");
    [made.width, made.height] = [this.canvas.width * scale, this.canvas.height * scale];
    this.lay(made);
    return made.toDataURL();
  }

  // Shows a part of the mask in colour.
  colour(left, top, width, height) {
    if (width <= 0 || height <= 0) return;
    const part = new ImageData(width, height);
    for (let row = 0; row < height; row += 1) {
      for (let column = 0; column < width; column += 1) {
        if (this.mask[(top + row) * this.width + left + column]) part.data.set(HOLE, 4 * (row * width + column));
      }
    }
    this.hole.getContext("2d").putImageData(part, left, top);
  }

  lay(canvas) {
    const pen = canvas.getContext("2d");
    pen.imageSmoothingEnabled = this.side === 1;
    pen.clearRect(0, 0, canvas.width, canvas.height);
    for (const layer of [this.picture, this.hole]) pen.drawImage(layer, 0, 0, canvas.width, canvas.height);
    return pen;
  }

  redraw() {
    if (!this.mask) return;
    const [pen, side] = [this.lay(this.canvas), this.side];
    if (!this.cursor) return;
    const ring = this.canvas.width / (this.canvas.clientWidth || this.canvas.width); // canvas pixels for one of the screen
    for (const [colour, width] of [["#000", 3], ["#fff", 1.5]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = width * ring;
      pen.beginPath();
      pen.arc(this.cursor[0] * side, this.cursor[1] * side, Math.max(0.71, this.pixels / 2) * side, 0, 2 * Math.PI);
      pen.stroke();
    }
  }
}
