// Pictures to begin with, a button each.

import { picture } from "./api.js";
import { complain, el } from "./dom.js";

// The hole in a picture: 1 where it is white.
async function mask(blob) {
  const bitmap = await createImageBitmap(blob);
  const canvas = el("canvas");
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  const pen = canvas.getContext("2d");
  pen.drawImage(bitmap, 0, 0);
  const { data } = pen.getImageData(0, 0, bitmap.width, bitmap.height);
  return Uint8Array.from({ length: data.length / 4 }, (_, i) => (data[4 * i] > 127 ? 1 : 0));
}

// Buttons for the examples that a served model can do; `chosen(example, picture, hole)` is called with what was pressed.
export function examples(about, { holes }, chosen) {
  const served = (each) => !each.model || about.models.some((model) => model.name === each.model);
  const press = async (each) => {
    try {
      const [blob, hole] = await Promise.all([
        picture(`api/examples/${each.name}.picture.png`),
        holes ? picture(`api/examples/${each.name}.hole.png`).then(mask) : null,
      ]);
      await chosen(each, blob, hole);
    } catch (error) {
      complain(error);
    }
  };
  const button = (each) => el("button", { type: "button", onclick: () => press(each) }, el("img", { src: `api/examples/${each.name}.picture.png?side=96`, alt: "", loading: "lazy" }), each.label);
  return el("div", { class: "examples", role: "group", "aria-label": "Examples" }, el("span", { class: "hint" }, "Examples"), ...about.examples.filter(served).map(button));
}
