// Colours for a grey picture, or for a colour picture whose colours are taken away.

import { data, el, image } from "./dom.js";
import { Chooser, Options, nothing } from "./form.js";
import { Drawing } from "./results.js";
import { Source } from "./source.js";

export default function colourise(section, about) {
  about.models.sort((a, b) => b.parameters - a.parameters); // the ablest first
  if (!about.models.length) return nothing(section, "None of the models that are served can colour a picture.");
  const solver = new Chooser("Solver", about.solvers, about.models[0].solver);
  const conditioner = new Chooser("Conditioner", about.conditioners, { name: about.models[0].conditioner });
  const options = new Options(about, { count: 4, choosers: { solver } });
  let given = null;

  const view = (png, text) => el("figure", { class: "result input" }, image(data(png), text), el("figcaption", {}, el("span", { class: "label" }, text)));
  const inputs = () => {
    const shown = [view(given.grey, "seen, in grey")];
    if (given.picture !== given.grey) shown.push(view(given.picture, "given"));
    return shown;
  };
  const show = (fitted) => {
    given = fitted;
    drawing.button.disabled = false;
    drawing.grid.replaceChildren(...inputs());
    drawing.grid.dataset.count = drawing.grid.children.length;
    drawing.status.textContent = "";
  };
  const source = new Source(section, () => options.model.value, show);
  const asked = () => given && { ...options.value, conditioner: conditioner.value, picture: given.picture };
  const drawing = new Drawing("colourise", "Colourise", { asked, before: inputs, shown: () => options.next() });
  drawing.button.disabled = true;
  options.model.addEventListener("change", () => {
    conditioner.begin({ name: options.chosen.conditioner });
    solver.begin(options.chosen.solver);
    source.again();
  });

  section.append(
    el("div", { class: "stage" }, source.element, drawing.bar, drawing.grid, drawing.status),
    options.controls(drawing.button, conditioner.element),
  );
  return {
    again: (parameters) => {
      options.show(parameters);
      if (parameters.conditioner) conditioner.show(parameters.conditioner);
      show({ picture: parameters.picture, grey: parameters.picture });
      drawing.instead(asked());
    },
  };
}
