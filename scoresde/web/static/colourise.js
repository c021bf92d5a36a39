// Colours for a grey picture, or for a colour picture whose colours are taken away.

import { duration } from "./api.js";
import { comparable } from "./compare.js";
import { blob, data, el, image } from "./dom.js";
import { examples } from "./examples.js";
import { Chooser, Options, nothing } from "./form.js";
import { Drawing } from "./results.js";
import { KEPT, Source } from "./source.js";

export default function colourise(section, about) {
  about.models.sort((a, b) => b.parameters - a.parameters); // the ablest first
  if (!about.models.length) return nothing(section, "None of the models that are served can colour a picture.");
  const solver = new Chooser("Solver", about.solvers, about.models[0].solver);
  const conditioner = new Chooser("Conditioner", about.conditioners, { name: about.models[0].conditioner });
  const options = new Options(about, { count: 4, choosers: { solver } });
  let given = null;

  const view = (png, text) => el("figure", { class: "result input" }, image(data(png), text), el("figcaption", {}, el("span", { class: "label" }, text)));
  const inputs = () => {
    const shown = [view(given.grey, "original, in grey")];
    if (given.picture !== given.grey) shown.push(view(given.picture, "original"));
    return shown;
  };
  const show = async (fitted) => {
    given = fitted;
    drawing.button.disabled = false;
    drawing.clear();
    drawing.grid.replaceChildren(...inputs());
    drawing.grid.dataset.count = drawing.grid.children.length;
    drawing.say(await duration("colourise", asked()));
  };
  const source = new Source(section, { model: () => options.model.value, grey: true, taken: show });
  const asked = () => given && { ...options.value, conditioner: conditioner.value, picture: given.picture };
  const finished = (done, figures) => {
    for (const each of figures) comparable(each, data(given.grey), each.querySelector(".label").textContent);
    options.next();
  };
  const drawing = new Drawing("colourise", "Colourise", { asked, before: inputs, shown: finished });
  drawing.button.disabled = true;
  const suited = () => {
    conditioner.begin({ name: options.chosen.conditioner });
    solver.begin(options.chosen.solver);
  };
  options.model.addEventListener("change", () => {
    suited();
    source.again();
  });
  const offered = examples(about, { holes: false }, async ({ told }, picture) => {
    await source.take(picture, { said: told });
    drawing.instead(asked());
  });

  const intro = el("p", { class: "intro" }, "The network sees a picture in grey and draws colours that it may have had, each time others.");
  section.append(
    el("div", { class: "stage" }, intro, offered, source.element, drawing.bar, drawing.grid, drawing.line, drawing.past),
    options.controls(drawing.button, conditioner.element),
  );
  return {
    again: async (parameters) => {
      options.show(parameters);
      if (parameters.conditioner) conditioner.show(parameters.conditioner);
      await source.take(blob(parameters.picture), { said: KEPT });
      drawing.instead(asked());
    },
  };
}
