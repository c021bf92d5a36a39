// Pictures that were drawn, each with what can be done with it, and the button that draws them.

import { draw, send } from "./api.js";
import { cost, data, download, el, image, labelled, toast, waiting } from "./dom.js";

// Asks for a caption and keeps a picture; it can also be downloaded or thrown away there.
function keep(png, parameters, discard) {
  const caption = el("input", { type: "text", maxlength: 500, autocomplete: "off" });
  const wrong = el("p", { class: "error", role: "alert" });
  const dialog = el(
    "dialog",
    { "aria-label": "Keep this picture" },
    el(
      "form",
      {
        method: "dialog",
        onsubmit: async (event) => {
          event.preventDefault();
          try {
            const entry = await send("POST", "api/catalogue", { caption: caption.value, picture: png, parameters });
            toast(entry.caption ? `Kept as “${entry.caption}”` : "Kept without a caption");
            dialog.close();
          } catch (error) {
            wrong.textContent = `${error.message[0].toUpperCase()}${error.message.slice(1)}.`;
          }
        },
      },
      image(data(png), "The picture"),
      labelled("Caption", caption),
      wrong,
      el(
        "div",
        { class: "actions" },
        el("button", { class: "primary" }, "Keep"),
        el("button", { type: "button", onclick: () => download(data(png), `${name(parameters)}.png`) }, "Download"),
        el("button", { type: "button", onclick: () => { discard(); dialog.close(); } }, "Discard"),
        el("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Back"),
      ),
    ),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  caption.focus();
}

function name(parameters) {
  return `${parameters.task}-${parameters.model}-${parameters.seed}`;
}

// Takes a picture away, until somebody wants it back.
function discard(made) {
  const [place, next] = [made.parentNode, made.nextSibling];
  made.remove();
  toast("Discarded", "Undo", () => place.insertBefore(made, next?.parentNode === place ? next : null));
}

// One picture with its actions.
export function figure(png, label, parameters) {
  const shown = image(data(png), label);
  const made = el("figure", { class: "result" }, shown);
  made.append(
    el(
      "figcaption",
      {},
      el("span", { class: "label" }, label),
      el(
        "span",
        { class: "acts" },
        el("button", { type: "button", class: "quiet", "aria-label": `Download ${label}`, onclick: () => download(data(made.png), `${name(parameters)}.png`) }, "Download"),
        el("button", { type: "button", class: "quiet", "aria-label": `Keep ${label}`, onclick: () => keep(made.png, parameters, () => discard(made)) }, "Keep…"),
      ),
    ),
  );
  made.png = png;
  return made;
}

// A button that draws, and cancels while it draws, with the pictures that emerge and what they cost.
export class Drawing {
  constructor(task, title, { asked, shown, before }) {
    this.task = task;
    this.title = title;
    this.asked = asked;
    this.shown = shown;
    this.button = el("button", { type: "button", class: "primary", onclick: () => (this.running ? this.cancel() : this.run(asked())) }, title);
    this.status = el("p", { class: "status", role: "status" });
    this.bar = el("progress", { max: 1, value: 0, "aria-label": "Progress" });
    this.grid = el("div", { class: "grid" });
    this.before = before || (() => []);
    this.running = null;
  }

  cancel() {
    this.running?.abort();
  }

  // Nothing is drawn of what is given now.
  clear() {
    this.cancel();
    this.grid.replaceChildren();
    this.status.textContent = "";
  }

  // Ends what is being drawn, and draws something else.
  async instead(body) {
    this.cancel();
    await this.ended;
    return this.run(body);
  }

  run(body) {
    if (!body || this.running) return;
    this.ended = this.#draw(body);
  }

  // On a small screen the button is far from what it starts.
  #seen() {
    this.status.scrollIntoView({ block: "nearest" });
  }

  async #draw(body) {
    const running = new AbortController();
    this.running = running;
    this.button.textContent = "Cancel";
    this.status.classList.remove("error");
    this.status.textContent = "Asking…";
    this.status.setAttribute("aria-live", "off"); // numbers that change all the time are no news to be read out
    this.bar.value = 0;
    this.bar.classList.add("on");
    this.#seen();
    const given = this.before(); // as it is now: what is painted later belongs to the next drawing
    const finished = [...this.grid.children]; // what was there comes back if nothing new does
    let emerging = [];
    const hear = (event, news) => {
      if (event === "queued" && news.ahead) this.status.textContent = waiting(news);
      if (event === "begun") this.status.textContent = "Drawing…";
      if (event !== "progress") return;
      this.bar.value = news.share;
      this.status.textContent = cost(news);
      if (!emerging.length) {
        emerging = news.pictures.map((_, i) => el("figure", { class: "result" }, image("", `Picture ${i + 1}, emerging`)));
        this.grid.replaceChildren(...given, ...emerging);
        this.grid.dataset.count = this.grid.children.length;
        this.#seen();
      }
      news.pictures.forEach((png, i) => { emerging[i].firstChild.src = data(png); });
    };
    try {
      const done = await draw(this.task, body, hear, running.signal);
      this.status.setAttribute("aria-live", "polite");
      const figures = done.pictures.map((png, i) => {
        const parameters = { task: this.task, ...body, seed: body.seed + i, count: 1 };
        if (body.classes) parameters.classes = [body.classes[i % body.classes.length]];
        return figure(png, `seed ${parameters.seed}`, parameters);
      });
      this.grid.replaceChildren(...given, ...figures);
      this.grid.dataset.count = this.grid.children.length;
      this.status.textContent = cost(done);
      this.shown?.(done, figures);
    } catch (error) {
      this.status.setAttribute("aria-live", "polite");
      this.status.textContent = error.name === "AbortError" ? "Cancelled." : `${error.message}.`;
      this.status.classList.toggle("error", error.name !== "AbortError");
      if (emerging.length) this.grid.replaceChildren(...finished);
      this.grid.dataset.count = this.grid.children.length;
    } finally {
      this.running = null;
      this.button.textContent = this.title;
      this.bar.classList.remove("on");
    }
  }
}
