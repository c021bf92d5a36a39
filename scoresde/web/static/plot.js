// Error against evaluations, both on logarithmic axes, drawn as the points arrive; the numbers are in a table, too.

import { el } from "./dom.js";

const [X, Y] = [[3, 300], [0.01, 200]]; // evaluations, and levels of 255
const TICKS = [[3, 10, 30, 100, 300], [0.01, 0.1, 1, 10, 100]];
const [LEFT, TOP, RIGHT, BOTTOM, HEIGHT] = [44, 10, 12, 40, 300];
const SHAPES = [
  (x, y) => ["circle", { cx: x, cy: y, r: 4.5 }],
  (x, y) => ["rect", { x: x - 4, y: y - 4, width: 8, height: 8 }],
  (x, y) => ["path", { d: `M${x} ${y - 5.5}L${x + 5.5} ${y + 4}H${x - 5.5}Z` }],
  (x, y) => ["path", { d: `M${x} ${y - 6}L${x + 6} ${y}L${x} ${y + 6}L${x - 6} ${y}Z` }],
];

function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const share = (value, [low, high]) => Math.log(Math.min(high, Math.max(low, value)) / low) / Math.log(high / low);
const short = (value) => (value < 10 ? String(Number(value.toPrecision(2))) : String(Math.round(value)));

export class Plot {
  constructor() {
    this.names = [];
    this.points = [];
    this.picture = svg("svg", { class: "plot", role: "img", height: HEIGHT });
    this.legend = el("ul", { class: "legend" });
    this.table = el("table", {});
    this.element = el(
      "figure",
      { class: "curve", hidden: true },
      el("figcaption", {}, el("strong", {}, "How many evaluations a solver needs"), el("span", { class: "hint" }, "Lower is closer to the exact picture, further left is less work: the best curve is the lowest one.")),
      this.legend,
      this.picture,
      el("details", {}, el("summary", {}, "The numbers"), el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Table of errors" }, this.table)),
    );
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  // Begins anew with solvers, by name; `noisy` are those that have no curve.
  begin(names, noisy) {
    this.names = names;
    this.noisy = noisy;
    this.points = [];
    this.element.hidden = noisy.every(Boolean);
    this.legend.replaceChildren(...names.map((name, i) => {
      const mark = svg("svg", { width: 16, height: 14, class: `series s${i}`, "aria-hidden": "true" }, svg(...SHAPES[i](8, 7)));
      return el("li", {}, noisy[i] ? "" : mark, noisy[i] ? `${name}: adds noise, so it draws another picture` : name);
    }));
    this.draw();
  }

  // A point, unless it is there: that of the race itself may be one of the curve.
  add(series, nfe, error) {
    if (this.points.some((each) => each.series === series && each.nfe === nfe && each.error === error)) return;
    this.points.push({ series, nfe, error });
    this.points.sort((a, b) => a.nfe - b.nfe);
    this.draw();
  }

  // What the curves say, in a sentence, once there are some.
  get verdict() {
    const reach = this.names.map((name, series) => ({ name, nfe: this.points.find((each) => each.series === series && each.error <= 1)?.nfe }));
    const found = reach.filter((each) => each.nfe).sort((a, b) => a.nfe - b.nfe);
    if (!found.length) return "";
    return `Within one of 255 levels: ${found.map(({ name, nfe }) => `${name} after ${short(nfe)} evaluations`).join(", ")}.`;
  }

  draw() {
    const width = Math.max(240, Math.min(720, this.element.clientWidth || 240));
    const at = (nfe, error) => [LEFT + share(nfe, X) * (width - LEFT - RIGHT), HEIGHT - BOTTOM - share(error, Y) * (HEIGHT - TOP - BOTTOM)];
    this.picture.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.picture.setAttribute("width", width);
    this.picture.setAttribute("aria-label", `Error against evaluations. ${this.verdict || "No curve is within one level yet."} The numbers are in the table below.`);
    const grid = [
      ...TICKS[0].flatMap((tick) => {
        const [x] = at(tick, 1);
        return [svg("line", { x1: x, x2: x, y1: TOP, y2: HEIGHT - BOTTOM }), svg("text", { x, y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, String(tick))];
      }),
      ...TICKS[1].flatMap((tick) => {
        const [, y] = at(X[0], tick);
        return [svg("line", { x1: LEFT, x2: width - RIGHT, y1: y, y2: y }), svg("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, String(tick))];
      }),
    ];
    const [, one] = at(X[0], 1);
    const labels = [
      svg("line", { class: "one", x1: LEFT, x2: width - RIGHT, y1: one, y2: one }),
      svg("text", { x: LEFT + 5, y: one + 14 }, "one of 255 levels"),
      svg("text", { x: LEFT + (width - LEFT - RIGHT) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, "evaluations of the network"),
      svg("text", { transform: `translate(11 ${(HEIGHT - BOTTOM) / 2 + TOP}) rotate(-90)`, "text-anchor": "middle" }, "error, in levels of 255"),
    ];
    const series = this.names.map((name, i) => {
      const own = this.points.filter((each) => each.series === i).map(({ nfe, error }) => at(nfe, error));
      return svg("g", { class: `series s${i}` }, svg("polyline", { points: own.map((each) => each.join(",")).join(" ") }), ...own.map((each) => svg(...SHAPES[i](...each))));
    });
    this.picture.replaceChildren(svg("g", { class: "axes" }, ...grid, ...labels), ...series);
    this.fill();
  }

  fill() {
    const head = ["Solver", "Evaluations", "Error"].map((text) => el("th", { scope: "col" }, text));
    const rows = this.names.flatMap((name, i) => this.points.filter((each) => each.series === i).map(({ nfe, error }) =>
      el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, short(nfe)), el("td", {}, short(error)))));
    this.table.replaceChildren(el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows));
  }
}
