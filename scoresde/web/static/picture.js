// One picture: what can be done with it, and the large view of it.

import { fetched, made as large, send } from "./api.js";
import { data, download, el, image, labelled, sentence, toast, toggle } from "./dom.js";
import { player, stills } from "./path.js";
import { on } from "./words.js";

function name(parameters) {
  return `${parameters.task}-${parameters.model}-${parameters.seed}`;
}

// The names of the classes that were asked for, as far as they have some.
export function named({ classes = [] }) {
  return classes.filter((each) => typeof each === "string");
}

function small(made) {
  const shown = made.querySelector("img");
  return shown.classList.contains("small"); // a photograph keeps its size
}

// Downloads a picture, enlarged if it is small, unless somebody wants its pixels.
function take(made, parameters) {
  if (on("pixels") || !small(made)) download(data(made.png), `${name(parameters)}.png`);
  else fetched("api/enlarge", { picture: made.png }, `${name(parameters)}.png`);
}

// A dialog that is removed when it is closed; the focus goes back to where it was.
function dialog(label, className, ...content) {
  const made = el("dialog", { "aria-label": label, class: className }, ...content);
  made.addEventListener("close", () => made.remove());
  document.body.append(made);
  made.showModal();
  return made;
}

// Asks for a caption and keeps a picture; it can also be downloaded or thrown away there.
function keep(made, parameters) {
  const caption = el("input", { type: "text", maxlength: 500, autocomplete: "off", value: named(parameters).join(", ") });
  const wrong = el("p", { class: "error", role: "alert" });
  const save = async (event) => {
    event.preventDefault();
    try {
      const entry = await send("POST", "api/catalogue", { caption: caption.value, picture: made.png, parameters });
      toast(entry.caption ? `Kept as “${entry.caption}”` : "Kept without a caption");
      asked.close();
    } catch (error) {
      wrong.textContent = sentence(error);
    }
  };
  const asked = dialog(
    "Keep this picture",
    "",
    el(
      "form",
      { method: "dialog", onsubmit: save },
      image(data(made.png), "The picture"),
      labelled("Caption", caption),
      wrong,
      el(
        "div",
        { class: "actions" },
        el("button", { class: "primary" }, "Keep"),
        el("button", { type: "button", onclick: () => take(made, parameters) }, "Download"),
        el("button", { type: "button", onclick: () => { discard(made); asked.close(); } }, "Discard"),
        el("button", { type: "button", class: "quiet", onclick: () => asked.close() }, "Back"),
      ),
    ),
  );
  caption.focus();
  caption.select();
}

// Takes a picture away, until somebody wants it back: hidden, it keeps its place in its batch.
function discard(made) {
  made.hidden = true;
  toast("Discarded", "Undo", () => { made.hidden = false; });
}

// A picture as large as the screen, with its path from noise where that is known.
function enlarge(made, label, parameters) {
  const shown = image(data(made.png), label);
  const [path, column] = made.path || [];
  const target = { column, shown, final: data(made.png) };
  const smooth = async () => { // the browser's own smoothing shows the grid of the pixels
    const before = target.final;
    target.final = on("pixels") || !small(made) ? data(made.png) : await large("api/enlarge", { picture: made.png }).catch(() => before);
    if (shown.src === before) shown.src = target.final;
  };
  smooth();
  document.addEventListener("switched", smooth);
  const view = dialog(
    label,
    "large",
    el("div", { class: "light" }, shown),
    path ? stills(path, column) : null,
    path ? player(path, [target], name(parameters)) : null,
    el(
      "div",
      { class: "actions" },
      el("button", { type: "button", class: "primary", autofocus: true, onclick: () => view.close() }, "Back"),
      el("button", { type: "button", onclick: () => take(made, parameters) }, "Download"),
      el("button", { type: "button", onclick: () => { view.close(); keep(made, parameters); } }, "Keep…"),
      toggle("pixels", "Show pixels"),
    ),
  );
  view.addEventListener("close", () => {
    document.removeEventListener("switched", smooth);
    URL.revokeObjectURL(target.final);
  });
}

// One picture with its actions; `path` and the column that it has there, if its way from noise is known.
export function figure(png, label, parameters, path) {
  const made = el("figure", { class: "result" });
  made.append(
    el("button", { type: "button", class: "view", "aria-label": `Enlarge ${label}`, onclick: () => enlarge(made, label, parameters) }, image(data(png), "")),
    el(
      "figcaption",
      {},
      el("span", { class: "label" }, label),
      el(
        "span",
        { class: "acts" },
        el("button", { type: "button", class: "quiet", "aria-label": `Download ${label}`, onclick: () => take(made, parameters) }, "Download"),
        el("button", { type: "button", class: "quiet", "aria-label": `Keep ${label}`, onclick: () => keep(made, parameters) }, "Keep…"),
      ),
    ),
  );
  return Object.assign(made, { png, path });
}
