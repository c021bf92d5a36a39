// A hole is painted into a picture, and filled several times.

import { Brush } from "./brush.js";
import { data, el, image, labelled } from "./dom.js";
import { Chooser, Options, nothing } from "./form.js";
import { Drawing } from "./results.js";
import { Source } from "./source.js";

export default function inpaint(section, about) {
  about.models.sort((a, b) => b.channels - a.channels || b.parameters - a.parameters); // the ablest first
  if (!about.models.length) return nothing(section, "None of the models that are served can fill a hole.");
  const solver = new Chooser("Solver", about.solvers, about.models[0].solver);
  const conditioner = new Chooser("Conditioner", about.conditioners, { name: about.models[0].conditioner });
  const options = new Options(about, { count: 4, choosers: { conditioner, solver } });
  const shape = ({ channels, width: w, height: h }) => [channels, w, h].join();
  let [png, size] = [null, ""];

  const brush = new Brush(() => {
    drawing.button.disabled = !brush.painted;
    undo.disabled = !brush.undone.length;
    clear.disabled = !brush.painted;
  });
  const width = el("input", { type: "range", min: 1, max: 16, step: 1, value: "6" });
  brush.size = 6;
  width.addEventListener("input", () => { brush.size = Number(width.value); });
  const eraser = el("button", { type: "button", "aria-pressed": "false" }, "Eraser");
  eraser.addEventListener("click", () => {
    brush.erasing = !brush.erasing;
    eraser.setAttribute("aria-pressed", String(brush.erasing));
  });
  const undo = el("button", { type: "button", disabled: true, onclick: () => brush.undo() }, "Undo");
  const clear = el("button", { type: "button", disabled: true, onclick: () => brush.clear() }, "Clear");
  const editor = el(
    "div",
    { class: "editor", hidden: true },
    brush.canvas,
    el("div", { class: "tools" }, labelled("brush", width), eraser, undo, clear),
  );

  const paper = async (picture, mask) => {
    png = picture;
    size = shape(options.chosen);
    drawing.clear();
    const { width: w, height: h } = options.chosen;
    editor.hidden = false;
    await brush.show(png, w, h, mask);
  };
  const source = new Source(section, () => options.model.value, (fitted) => paper(fitted.picture));
  const asked = () => png && { ...options.value, picture: png, mask: brush.bits };
  const input = () => {
    const seen = el("figure", { class: "result input" }, image(brush.canvas.toDataURL(), "The picture and its hole"));
    seen.append(el("figcaption", {}, el("span", { class: "label" }, "given")));
    return [seen];
  };
  const drawing = new Drawing("inpaint", "Fill the hole", { asked, before: input, shown: () => options.next() });
  drawing.button.disabled = true;
  options.model.addEventListener("change", () => {
    conditioner.begin({ name: options.chosen.conditioner });
    solver.begin(options.chosen.solver);
    if (png && size === shape(options.chosen)) return; // the picture and its hole serve this model too
    png = null;
    editor.hidden = true;
    drawing.button.disabled = true;
    source.again();
  });

  section.append(
    el("div", { class: "stage" }, source.element, el("div", { class: "easel" }, editor, el("div", { class: "fillings" }, drawing.grid)), drawing.bar, drawing.status),
    options.controls(drawing.button),
  );
  return {
    again: async (parameters) => {
      options.show(parameters);
      const { width: w, height: h } = options.chosen;
      await paper(parameters.picture, Brush.read(parameters.mask, w * h));
      drawing.instead(asked());
    },
  };
}
