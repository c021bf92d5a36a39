// New pictures, with a slider over their way from noise.

import { choice, data, el, labelled } from "./dom.js";
import { Chooser, Options, nothing } from "./form.js";
import { Drawing } from "./results.js";

export default function generate(section, about) {
  const classes = el("input", { type: "text", placeholder: "any", inputmode: "numeric", autocomplete: "off" });
  const guidance = el("input", { type: "number", min: 0, max: 100, step: "any", value: "1" });
  const labels = [
    labelled("class", classes, "A number, or several such as 0, 1, 2 for one picture each."),
    labelled("guidance", guidance, "How strongly samples are guided to their class; 1 is none."),
  ];
  const solver = new Chooser("Solver", about.solvers, about.defaults.solver);
  if (!about.models.length) return nothing(section, "The models that are served draw nothing without a picture to begin with.");
  const options = new Options(about, { count: 4, choosers: { solver }, extra: labels });
  let path = null;

  const asked = () => {
    const value = options.value;
    if (!labels[0].hidden && classes.value.trim()) {
      value.classes = classes.value.split(/[\s,]+/).filter(Boolean).map(Number);
      value.guidance = Number(guidance.value);
    }
    return value;
  };
  const slider = el("input", { type: "range", min: 0, step: 1, "aria-label": "The way from noise to the picture" });
  const side = choice([["denoised", "what it expects"], ["states", "with its noise"]], "denoised", { "aria-label": "What the slider shows" });
  const way = el("div", { class: "way", hidden: true }, el("span", {}, "noise"), slider, el("span", {}, "picture"), side);

  const drawing = new Drawing("generate", "Generate", {
    asked,
    shown: (done, figures) => {
      path = { ...done.path, figures, pictures: done.pictures };
      path.images = Object.fromEntries(["states", "denoised"].map((key) => {
        const made = new Image();
        made.src = data(done.path[key]);
        return [key, made];
      }));
      slider.max = path.frames - 1;
      slider.value = path.frames - 1;
      way.hidden = false;
      options.next();
    },
  });

  const show = () => {
    if (drawing.running) return; // the pictures of this path are not shown now
    const frame = Number(slider.value);
    path.figures.forEach((figure, i) => {
      const shown = figure.querySelector("img");
      if (frame === path.frames - 1) {
        shown.src = data(path.pictures[i]);
        return;
      }
      const canvas = el("canvas");
      const [w, h] = [path.images.states.width / path.figures.length, path.images.states.height / path.frames];
      canvas.width = w;
      canvas.height = h;
      canvas.getContext("2d").drawImage(path.images[side.value], i * w, frame * h, w, h, 0, 0, w, h);
      shown.src = canvas.toDataURL();
    });
  };
  slider.addEventListener("input", show);
  side.addEventListener("change", show);

  const changed = () => {
    for (const label of labels) label.hidden = !options.chosen.classes;
  };
  options.model.addEventListener("change", () => { changed(); drawing.cancel(); });
  changed();

  section.append(
    el("div", { class: "stage" }, drawing.grid, drawing.bar, way, drawing.status),
    options.controls(drawing.button),
  );
  let visited = false;
  return {
    show: () => {
      if (!visited) drawing.run(asked());
      visited = true;
    },
    again: (parameters) => {
      visited = true;
      options.show(parameters);
      changed();
      classes.value = (parameters.classes || []).join(", ");
      guidance.value = parameters.guidance ?? 1;
      drawing.instead(asked());
    },
  };
}
