// A hole is painted into a picture, and filled several times.

import { duration } from "./api.js";
import { Brush } from "./brush.js";
import { comparable } from "./compare.js";
import { blob, data, el, image, labelled } from "./dom.js";
import { examples } from "./examples.js";
import { Chooser, Options, nothing } from "./form.js";
import { Drawing } from "./results.js";
import { KEPT, Source } from "./source.js";
import { Zoom } from "./zoom.js";

export default function inpaint(section, about) {
  about.models.sort((a, b) => b.channels - a.channels || b.parameters - a.parameters); // the ablest first
  if (!about.models.length) return nothing(section, "None of the models that are served can fill a hole.");
  const solver = new Chooser("Solver", about.solvers, about.models[0].solver);
  const conditioner = new Chooser("Conditioner", about.conditioners, { name: about.models[0].conditioner });
  const options = new Options(about, { count: 4, choosers: { conditioner, solver } });
  let png = null;

  const brush = new Brush(() => {
    drawing.button.disabled = !brush.painted;
    undo.disabled = !brush.undone.length;
    clear.disabled = !brush.painted;
    resize();
  });
  const width = el("input", { type: "range", min: 1, max: 100, step: 1, value: "40" });
  const resize = () => {
    brush.share = Number(width.value) / 100;
    if (brush.mask) width.setAttribute("aria-valuetext", `${brush.pixels} pixels`);
  };
  width.addEventListener("input", resize);
  const toggle = (text, change) => {
    const button = el("button", { type: "button", "aria-pressed": "false" }, text);
    button.addEventListener("click", () => button.setAttribute("aria-pressed", String(change())));
    return button;
  };
  const eraser = toggle("Eraser", () => (brush.erasing = !brush.erasing));
  const move = toggle("Move", () => {
    brush.moving = !brush.moving;
    brush.canvas.classList.toggle("moving", brush.moving);
    return brush.moving;
  });
  const undo = el("button", { type: "button", disabled: true, onclick: () => brush.undo() }, "Undo");
  const clear = el("button", { type: "button", disabled: true, onclick: () => brush.clear() }, "Clear");
  const zoom = new Zoom(brush.canvas);
  zoom.changed = (level) => {
    move.hidden = level === 1;
    if (move.hidden && brush.moving) move.click();
    brush.redraw();
  };
  move.hidden = true;
  brush.reveal = (x, y) => zoom.level > 1 && zoom.show(x, y);
  const editor = el(
    "div",
    { class: "editor", hidden: true },
    zoom.window,
    el("div", { class: "tools" }, labelled("brush", width), eraser, undo, clear, zoom.buttons, move),
  );

  const paper = async (picture, mask) => {
    png = picture;
    drawing.clear();
    editor.hidden = false;
    await brush.show(png, mask);
    drawing.say(await duration("inpaint", asked()));
  };
  const source = new Source(section, { model: () => options.model.value, taken: (fitted, mask) => paper(fitted.picture, mask) });
  const asked = () => png && { ...options.value, picture: png, mask: brush.bits };
  const input = () => {
    const seen = el("figure", { class: "result input" }, image(brush.seen, "The picture and its hole"));
    seen.append(el("figcaption", {}, el("span", { class: "label" }, "original, with the hole")));
    return [seen];
  };
  const finished = (done, figures) => {
    for (const each of figures) comparable(each, data(png), each.querySelector(".label").textContent);
    options.next();
  };
  const drawing = new Drawing("inpaint", "Fill the hole", { asked, before: input, shown: finished });
  drawing.button.disabled = true;
  const suited = () => {
    conditioner.begin({ name: options.chosen.conditioner });
    solver.begin(options.chosen.solver);
  };
  options.model.addEventListener("change", () => {
    suited();
    if (png) source.again(brush.mask); // the picture and its hole serve this model too
  });
  const offered = examples(about, { holes: true }, async ({ model, told }, picture, mask) => {
    if (options.chosen.channels === 1 || model) options.model.value = model || about.models[0].name;
    suited();
    options.quality?.show();
    await source.take(picture, { said: told, mask });
    drawing.instead(asked());
  });

  const intro = el("p", { class: "intro" }, "Paint over a part of a picture: the network draws what may have been there. All the rest stays as it is.");
  section.append(
    el("div", { class: "stage" }, intro, offered, source.element, el("div", { class: "easel" }, editor, el("div", { class: "fillings" }, drawing.grid)), drawing.bar, drawing.line, drawing.past),
    options.controls(drawing.button),
  );
  return {
    again: async (parameters) => {
      options.show(parameters);
      await source.take(blob(parameters.picture), { said: KEPT, mask: parameters.mask });
      drawing.instead(asked());
    },
  };
}
