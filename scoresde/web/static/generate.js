// New pictures, with a slider over their way from noise.

import { Classes } from "./classes.js";
import { el, labelled } from "./dom.js";
import { Chooser, Options, nothing } from "./form.js";
import { Path } from "./path.js";
import { figure } from "./picture.js";
import { Drawing } from "./results.js";

const PATIENCE = 30; // seconds for which a visitor waits for the first pictures

// The model that shows most: the one of the film; of those that draw in time, the ablest in colour; else the quickest.
function telling(models, { solver, count }, film) {
  const filmed = models.find((model) => model.sha256 === film.sha256);
  if (filmed) return filmed;
  const takes = (model) => model.pace * (solver.steps + 1) * count;
  const quick = models.filter((model) => takes(model) < PATIENCE);
  if (!quick.length) return models.reduce((a, b) => (takes(b) < takes(a) ? b : a));
  return quick.reduce((a, b) => ((b.channels - a.channels || b.parameters - a.parameters) > 0 ? b : a));
}

// What happens here, in a sentence or two.
function introduction({ seen, width, height }) {
  const learned = seen ? `This network has learned from ${seen}, at ${width}×${height} pixels.` : "This network does not say what it has learned from.";
  return `${learned} It begins with noise and takes it away step by step, until new pictures are left.`;
}

// Pictures that were drawn beforehand, as if they were drawn now: their path is a file of the page.
async function opening({ frames, nfe, ...body }) {
  const path = new Path({ frames, denoised: "film.png" }, body.count);
  const ends = Array.from({ length: body.count }, (_, column) => path.part("denoised", { row: frames - 1, rows: 1, column }));
  const pictures = (await Promise.all(ends)).map((address) => address.split(",")[1]);
  const figures = pictures.map((png, i) => figure(png, `seed ${body.seed + i}`, { task: "generate", ...body, seed: body.seed + i, count: 1 }, [path, i]));
  return { body, done: { pictures, nfe }, given: [], figures, path };
}

export default function generate(section, about) {
  if (!about.models.length) return nothing(section, "The models that are served draw nothing without a picture to begin with.");
  const classes = new Classes({
    most: about.most_pictures,
    draw: () => drawing.instead(asked()),
    changed: () => {
      options.count.value = Math.max(options.count.value, classes.value.length);
      options.quality?.show();
    },
  });
  const guidance = labelled("guidance", el("input", { type: "number", min: 0, max: 100, step: "any", value: String(about.guidance) }));
  const scale = guidance.querySelector("input");
  const solver = new Chooser("Solver", about.solvers, about.defaults.solver);
  const options = new Options(about, { count: 4, choosers: { solver }, extra: [classes.numbers, guidance] });
  const asked = () => {
    const [value, chosen] = [options.value, classes.value];
    return chosen.length ? { ...value, classes: chosen, guidance: Number(scale.value) } : value;
  };
  const drawing = new Drawing("generate", "Generate", { asked, shown: () => options.next() });
  const intro = el("p", { class: "intro" });
  const changed = () => {
    classes.begin(options.chosen);
    guidance.hidden = !options.chosen.classes;
    intro.textContent = introduction(options.chosen);
  };
  options.model.addEventListener("change", () => { changed(); drawing.cancel(); });
  options.show({ model: telling(about.models, about.defaults, about.film).name, count: 4 });
  changed();
  section.append(
    el("div", { class: "stage" }, intro, classes.element, drawing.grid, drawing.bar, drawing.way, drawing.line, drawing.past),
    options.controls(drawing.button),
  );

  async function first() {
    const { sha256, ...film } = about.film;
    if (options.chosen.sha256 !== sha256) return drawing.run(asked());
    options.show({ ...film, model: options.chosen.name });
    const [body, batch] = [asked(), await opening({ ...film, model: options.chosen.name })];
    drawing.prepared(batch);
    drawing.run(body, `Prepared before; the same ${film.count} are now drawn here:`);
  }

  let visited = false;
  return {
    show: () => {
      if (visited) return;
      visited = true;
      first();
    },
    again: (parameters) => {
      visited = true;
      options.show(parameters);
      changed();
      classes.show(parameters.classes || []);
      scale.value = parameters.guidance ?? about.guidance;
      drawing.instead(asked());
    },
  };
}
