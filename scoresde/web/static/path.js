// The way of pictures from noise: played, in stills, and as an animation.

import { fetched } from "./api.js";
import { ask, choice, data, el } from "./dom.js";
import { on } from "./words.js";

const FRAME = 150; // milliseconds
const STILLS = 8;
const SIDES = [["denoised", "what it expects"], ["states", "with its noise"]];

// What the server says of a path: a strip for each side, with a row for each frame and the pictures side by side.
export class Path {
  constructor({ frames, ...strips }, across) {
    this.frames = frames;
    this.across = across;
    this.sides = SIDES.filter(([key]) => strips[key]);
    this.strips = strips; // in base64, or for what the page has itself an address
    this.loaded = {};
  }

  get size() {
    return Object.values(this.strips).reduce((sum, strip) => sum + strip.length, 0);
  }

  async #image(side) {
    const strip = this.strips[side];
    this.loaded[side] ||= Object.assign(new Image(), { src: strip.endsWith(".png") ? strip : data(strip) });
    await this.loaded[side].decode();
    return this.loaded[side];
  }

  // Part of a strip as the address of a PNG: some rows of one column, or of all.
  async part(side, { row = 0, rows = this.frames, column = null } = {}) {
    const strip = await this.#image(side);
    const [width, height] = [strip.width / this.across, strip.height / this.frames];
    const canvas = el("canvas", { width: column === null ? strip.width : width, height: height * rows });
    canvas.getContext("2d").drawImage(strip, -(column ?? 0) * width, -row * height);
    return canvas.toDataURL();
  }

  // What is decoded can be decoded again.
  rest() {
    this.loaded = {};
  }
}

// Stills of one picture from noise to its end, evenly spaced.
export function stills(path, column) {
  const side = path.strips.states ? "states" : "denoised";
  const count = Math.min(STILLS, path.frames);
  const made = Array.from({ length: count }, () => el("img", { alt: "", class: "small" }));
  made.forEach(async (img, i) => {
    const last = i === count - 1; // the end has no noise left
    img.src = await path.part(last ? "denoised" : side, { row: Math.round((i * (path.frames - 1)) / (count - 1)), rows: 1, column });
  });
  return el("div", { class: "stills", role: "img", "aria-label": "The path from noise to the picture" }, ...made);
}

// Controls of a path, for pictures that show it: `targets` are their images, columns of the path, and last addresses.
export function player(path, targets, name) {
  const last = path.frames - 1;
  const slider = el("input", { type: "range", min: 0, max: last, step: 1, "aria-label": "The way from noise to the picture" });
  slider.value = last;
  const side = choice(path.sides, path.sides[0][0], { "aria-label": "What the slider shows", hidden: path.sides.length < 2 });
  const play = el("button", { type: "button", onclick: () => (timer ? stop() : start()) }, "▶ Play");
  let timer = null;

  const show = () => {
    const row = Number(slider.value);
    for (const { column, shown, final } of targets) {
      const wanted = row === last ? Promise.resolve(final) : path.part(side.value, { row, rows: 1, column });
      wanted.then((address) => { if (Number(slider.value) === row) shown.src = address; });
    }
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "▶ Play";
  };
  const start = () => {
    play.textContent = "❚❚ Stop";
    if (Number(slider.value) === last) slider.value = 0;
    show();
    timer = setInterval(() => {
      if (!slider.isConnected) return stop();
      slider.value = Number(slider.value) + 1;
      show();
      if (Number(slider.value) === last) stop();
    }, FRAME);
  };
  const save = async (kind) => {
    const alone = targets.length === 1;
    const strip = (await path.part(side.value, { column: alone ? targets[0].column : null })).split(",")[1];
    const body = { strip, frames: path.frames, across: alone ? 1 : path.across, kind, pixels: on("pixels") };
    fetched("api/animate", body, `${name}.${kind}`);
  };
  slider.addEventListener("input", () => { stop(); show(); });
  side.addEventListener("change", show);
  const [button, answer] = ask("path");
  const made = el(
    "div",
    { class: "way" },
    play,
    el("span", { class: "track" }, "noise", slider, "picture"),
    side,
    el(
      "span",
      { class: "acts" },
      button,
      el("button", { type: "button", class: "quiet", "aria-label": "Download the path as GIF", onclick: () => save("gif") }, "GIF"),
      el("button", { type: "button", class: "quiet", "aria-label": "Download the path as WebP", onclick: () => save("webp") }, "WebP"),
    ),
    answer,
  );
  return Object.assign(made, { start });
}
