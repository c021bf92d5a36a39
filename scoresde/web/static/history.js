// Batches that are finished: they stay below the newest one, as small pictures, and can be compared with it.

import { data, el, image } from "./dom.js";
import { named } from "./picture.js";
import { called } from "./words.js";

const MOST = 8; // batches
const LETTERS = 24e6; // of all their pictures and paths together

const GIVEN = { picture: "They begin with another picture.", mask: "The hole is another one." };

// What was asked for, in a line.
export function summary({ body, done }) {
  const solver = body.solver ? [body.solver.name, ...options(body.solver)].join(", ") : null;
  const evaluations = `${done.nfe} ${done.nfe === 1 ? "evaluation" : "evaluations"}`;
  return [body.model, named(body).join(", "), solver, seeds(body), evaluations].filter(Boolean).join(" · ");
}

function options({ name, ...rest }) {
  return Object.entries(rest).map(([key, value]) => `${called(key).toLowerCase()} ${value}`);
}

function seeds({ seed, count }) {
  return count > 1 ? `seeds ${seed} to ${seed + count - 1}` : `seed ${seed}`;
}

// What differs between two requests, a sentence each.
export function differences(a, b) {
  const found = [];
  const say = (term, was, is) => found.push(`${called(term)[0].toUpperCase()}${called(term).slice(1)}: ${was ?? "as usual"} on the left, ${is ?? "as usual"} on the right.`);
  for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const [was, is] = [a[key], b[key]];
    if (JSON.stringify(was) === JSON.stringify(is) || key === "count") continue;
    if (key === "classes") say(key, (was || ["any"]).join(", "), (is || ["any"]).join(", "));
    else if (key === "seed") found.push(`They begin with other noise: ${seeds(a)} on the left, ${seeds(b)} on the right.`);
    else if (GIVEN[key]) found.push(GIVEN[key]);
    else if ([was, is].some((value) => value?.name)) {
      const term = key[0].toUpperCase() + key.slice(1);
      if (was?.name !== is?.name) say(term, was?.name, is?.name);
      for (const option of new Set([...Object.keys(was || {}), ...Object.keys(is || {})])) {
        if (option !== "name" && was?.[option] !== is?.[option]) say(option, was?.[option], is?.[option]);
      }
    } else say(key, was, is);
  }
  return found.length ? found : ["They were asked for with the same settings and the same seed."];
}

// The mean difference of two pictures of one size, in levels of 255.
async function distance(a, b) {
  const pixels = await Promise.all([a, b].map(async (png) => {
    const img = Object.assign(new Image(), { src: data(png) });
    await img.decode();
    const canvas = el("canvas", { width: img.width, height: img.height });
    canvas.getContext("2d").drawImage(img, 0, 0);
    return canvas.getContext("2d").getImageData(0, 0, img.width, img.height).data;
  }));
  if (pixels[0].length !== pixels[1].length) return null;
  return (pixels[0].reduce((sum, value, i) => sum + Math.abs(value - pixels[1][i]), 0) / pixels[0].length) * (4 / 3); // a quarter is opacity
}

function compare(old, now) {
  const side = (batch) => el("div", {}, el("div", { class: "column" }, ...batch.done.pictures.map((png, i) => image(data(png), `Picture ${i + 1}`))), el("p", { class: "hint" }, summary(batch)));
  const same = old.body.model === now.body.model && old.body.seed === now.body.seed;
  const words = el("ul", { class: "hint" }, ...differences(old.body, now.body).map((text) => el("li", {}, text)));
  const pairs = Math.min(old.done.pictures.length, now.done.pictures.length);
  if (same) {
    Promise.all(Array.from({ length: pairs }, (_, i) => distance(old.done.pictures[i], now.done.pictures[i]))).then((all) => {
      if (!all.includes(null)) words.append(el("li", {}, `The pictures differ by ${(all.reduce((a, b) => a + b) / pairs).toFixed(1)} of 255 levels in the mean.`));
    });
  }
  const made = el(
    "dialog",
    { "aria-label": "Compare two", class: "pair" },
    el("div", { class: "sides" }, side(old), side(now)),
    words,
    el("div", { class: "actions" }, el("button", { type: "button", class: "primary", onclick: () => made.close() }, "Back")),
  );
  made.addEventListener("close", () => made.remove());
  document.body.append(made);
  made.showModal();
}

export class History {
  constructor(newest) {
    this.newest = newest; // the batch that is shown above
    this.batches = [];
    this.list = el("div", { class: "batches" });
    this.element = el("section", { class: "past", "aria-label": "Earlier", hidden: true }, el("h2", {}, "Earlier"), this.list);
  }

  add(batch) {
    const act = (text, does) => el("button", { type: "button", class: "quiet", onclick: does }, text);
    batch.row = el(
      "article",
      { class: "batch" },
      el("div", { class: "grid" }, ...batch.given, ...batch.figures),
      el("p", { class: "hint" }, summary(batch)),
      el("div", { class: "acts" }, act("Compare", () => this.newest() && compare(batch, this.newest())), act("Remove", () => this.take(batch))),
    );
    batch.path?.rest();
    this.batches.unshift(batch);
    this.list.prepend(batch.row);
    while (this.batches.length > 1 && (this.batches.length > MOST || this.#letters > LETTERS)) this.take(this.batches.at(-1));
    this.element.hidden = false;
  }

  take(batch) {
    this.batches = this.batches.filter((each) => each !== batch);
    batch.row.remove();
    this.element.hidden = !this.batches.length;
  }

  clear() {
    for (const batch of this.batches) this.take(batch);
  }

  get #letters() {
    const size = ({ done, path }) => done.pictures.reduce((sum, png) => sum + png.length, 0) + (path?.size || 0);
    return this.batches.reduce((sum, batch) => sum + size(batch), 0);
  }
}
