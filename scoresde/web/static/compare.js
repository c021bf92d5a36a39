// What a picture was before, while it is held, or until the button is pressed again.

import { data, el } from "./dom.js";

const HELD = 300; // milliseconds from which a press is a hold

// Adds to a figure a button that shows another picture in its place; pressing long on the picture does so too.
export function comparable(figure, before, label) {
  const [shown, view] = [figure.querySelector("img"), figure.querySelector(".view")];
  const button = el("button", { type: "button", class: "quiet before", "aria-pressed": "false", "aria-label": `Before: ${label}` }, "Before");
  let [began, done, held] = [0, false, false];
  const show = (on) => {
    shown.src = on ? before : data(figure.png);
    button.setAttribute("aria-pressed", String(on));
  };
  const pressed = () => button.getAttribute("aria-pressed") === "true";

  button.addEventListener("pointerdown", (event) => {
    if (event.button || pressed()) return;
    began = performance.now();
    show(true);
  });
  button.addEventListener("pointerup", () => {
    if (!began) return;
    if (performance.now() - began >= HELD) show(false); // after a short press it stays
    [began, done] = [0, true];
  });
  for (const name of ["pointerleave", "pointercancel"]) {
    button.addEventListener(name, () => {
      if (began) show(false);
      began = 0;
    });
  }
  button.addEventListener("click", () => { // also that of the keyboard, which no pointer comes before
    if (!done) show(!pressed());
    done = false;
  });

  let waits = 0;
  view.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    held = false;
    waits = setTimeout(() => { held = true; show(true); }, HELD);
  });
  for (const name of ["pointerup", "pointerleave", "pointercancel"]) {
    view.addEventListener(name, () => {
      clearTimeout(waits);
      if (held) show(false);
    });
  }
  view.addEventListener("contextmenu", (event) => held && event.preventDefault());
  view.addEventListener("click", (event) => {
    if (!held) return;
    held = false;
    event.stopImmediatePropagation(); // a hold is no click, which would enlarge the picture
  }, true);
  figure.querySelector(".acts").prepend(button);
}
