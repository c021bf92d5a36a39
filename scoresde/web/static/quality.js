// Three words in place of a method and its options, with what each takes.

import { el, segments } from "./dom.js";

const paces = new Map(); // by task and model: seconds of an evaluation of one picture, as the last drawing had them

export function measured(task, model, pace) {
  paces.set(`${task} ${model}`, pace);
  document.dispatchEvent(new Event("measured"));
}

function about(seconds) {
  if (seconds < 1) return "less than a second";
  return seconds < 90 ? `about ${Math.ceil(seconds)} s` : `about ${Math.round(seconds / 60)} min`;
}

// A choice among presets, each of which sets a chooser of solvers. Other settings of the chooser are none of them.
export class Quality {
  constructor({ name: task, presets, defaults }, chooser, model, count) {
    const restores = "conditioner" in defaults; // such an evaluation takes longer, and the model says how many are usual
    const usual = presets.find(({ name }) => name === "good").solver.steps;
    const solver = (preset) => ({ ...preset.solver, steps: preset.solver.steps * (restores ? model().solver.steps / usual : 1) });
    const hint = el("p", { class: "hint" });
    const choose = (name) => chooser.show(solver(presets.find((preset) => preset.name === name)));
    const choice = segments("quality", presets.map(({ name }) => [name, name]), null, choose);
    const show = () => {
      const now = chooser.whole;
      const preset = presets.find((each) => JSON.stringify(solver(each)) === JSON.stringify(now));
      choice.value = preset?.name;
      const pace = paces.get(`${task} ${model().name}`) ?? (restores ? 0 : model().pace);
      const takes = pace ? `, here ${about(pace * (now.steps + 1) * Number(count.value))}` : "";
      hint.textContent = preset ? `${now.steps + 1} evaluations${takes}. ${preset.meaning}` : "Settings of your own, under Options.";
    };
    chooser.changed = show;
    count.addEventListener("input", show);
    document.addEventListener("measured", show);
    this.show = show;
    this.element = el("div", { class: "quality" }, choice, hint);
    show();
  }
}
