// The button that draws pictures, what emerges, and what was drawn before.

import { draw } from "./api.js";
import { ask, cost, data, el, image, sentence, toggle, waiting } from "./dom.js";
import { History } from "./history.js";
import { Path, player } from "./path.js";
import { figure, named } from "./picture.js";
import { measured } from "./quality.js";

// A button that draws, and cancels while it draws, with the pictures that emerge and what they cost.
export class Drawing {
  constructor(task, title, { asked, shown, before }) {
    this.task = task;
    this.title = title;
    this.asked = asked;
    this.shown = shown;
    this.button = el("button", { type: "button", class: "primary", onclick: () => (this.running ? this.cancel() : this.run(asked())) }, title);
    this.status = el("p", { class: "status", role: "status" });
    const [button, answer] = ask("evaluations");
    this.line = el("div", { class: "line" }, this.status, button, toggle("pixels", "Show pixels"), answer);
    this.bar = el("progress", { max: 1, value: 0, "aria-label": "Progress" });
    this.grid = el("div", { class: "grid" });
    this.way = el("div", {});
    this.history = new History(() => this.batch);
    this.past = this.history.element;
    this.before = before || (() => []);
    this.running = null;
    this.batch = null; // what is shown in the grid, if it was finished
  }

  cancel() {
    this.running?.abort();
  }

  // Nothing is drawn of what is given now.
  clear() {
    this.cancel();
    this.batch = null;
    this.history.clear();
    this.#show();
    this.say("");
  }

  say(text, wrong = false) {
    this.status.textContent = text;
    this.status.classList.toggle("error", wrong);
  }

  // Ends what is being drawn, and draws something else.
  async instead(body) {
    this.cancel();
    await this.ended;
    return this.run(body);
  }

  // Shows a finished batch that was not drawn now, and plays its path.
  prepared(batch) {
    this.#finish(batch);
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) this.way.firstChild.start();
  }

  // Draws. If the pictures that are there stay until the end, it says why.
  run(body, stay = null) {
    if (!body || this.running) return;
    this.ended = this.#draw(body, stay);
  }

  // On a small screen the button is far from what it starts.
  #seen() {
    this.status.scrollIntoView({ block: "nearest" });
  }

  #show(...children) {
    this.grid.replaceChildren(...children);
    this.grid.dataset.count = children.length;
    if (!children.length || !this.batch?.path) this.way.replaceChildren();
  }

  #finish(batch) {
    const { path, figures, done, body } = batch;
    this.batch = batch;
    this.#show(...batch.given, ...figures);
    if (!path) return;
    const targets = figures.map((each, column) => ({ column, shown: each.querySelector("img"), final: data(done.pictures[column]) }));
    this.way.replaceChildren(player(path, targets, `${this.task}-${body.model}-${body.seed}`));
  }

  async #draw(body, stay) {
    const running = new AbortController();
    this.running = running;
    this.button.textContent = "Cancel";
    this.say("Asking…");
    this.status.setAttribute("aria-live", "off"); // numbers that change all the time are no news to be read out
    this.bar.value = 0;
    this.bar.classList.add("on");
    if (!stay) this.#seen();
    const given = this.before(); // as it is now: what is painted later belongs to the next drawing
    const earlier = this.batch;
    let emerging = [];
    const away = () => { // what was finished stays below
      this.batch = null;
      if (!earlier || emerging.length || stay) return;
      for (const each of earlier.figures) each.querySelector("img").src = data(each.png);
      this.history.add(earlier);
    };
    const hear = (event, news) => {
      if (event === "queued" && news.ahead) this.say(waiting(news));
      if (event === "begun") this.say(news.seconds > 2 ? `Drawing, about ${news.seconds} s…` : "Drawing…");
      if (event !== "progress") return;
      this.bar.value = news.share;
      this.say(stay ? `${stay} ${cost(news)}` : cost(news));
      if (stay) return;
      if (!emerging.length) {
        away();
        emerging = news.pictures.map((_, i) => el("figure", { class: "result" }, image("", `Picture ${i + 1}, emerging`)));
        this.#show(...given, ...emerging);
        this.#seen();
      }
      news.pictures?.forEach((png, i) => { emerging[i].firstChild.src = data(png); }); // not every event has them
    };
    try {
      const done = await draw(this.task, body, hear, running.signal);
      this.status.setAttribute("aria-live", "polite");
      away();
      const path = done.path?.frames > 1 ? new Path(done.path, done.pictures.length) : null;
      const figures = done.pictures.map((png, i) => {
        const parameters = { task: this.task, ...body, seed: body.seed + i, count: 1 };
        if (body.classes) parameters.classes = [body.classes[i % body.classes.length]];
        return figure(png, [...named(parameters), `seed ${parameters.seed}`].join(", "), parameters, path && [path, i]);
      });
      this.#finish({ body, done, given, figures, path });
      this.say(cost(done));
      measured(this.task, body.model, done.seconds / (done.nfe * done.pictures.length));
      this.shown?.(done, figures);
    } catch (error) {
      this.status.setAttribute("aria-live", "polite");
      this.say(error.name === "AbortError" ? "Cancelled." : sentence(error), error.name !== "AbortError");
      if (emerging.length) {
        if (earlier) this.history.take(earlier);
        if (earlier) this.#finish(earlier);
        else this.#show();
      }
    } finally {
      this.running = null;
      this.button.textContent = this.title;
      this.bar.classList.remove("on");
    }
  }
}
