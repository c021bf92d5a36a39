// Two to four solvers from the same noise, how far each ends from a tight reference, and with how many evaluations.

import { draw } from "./api.js";
import { cost, data, el, image, waiting } from "./dom.js";
import { Chooser, Options, nothing } from "./form.js";
import { figure } from "./picture.js";
import { Plot } from "./plot.js";

// What can be started with one click.
const STARTS = [
  ["Three ways", [{ name: "adams" }, { name: "dpm++", steps: 20 }, { name: "euler", steps: 20 }]],
  ["With few steps", [{ name: "dpm++", steps: 10 }, { name: "heun", steps: 5 }, { name: "euler", steps: 10 }]],
  ["With and without noise", [{ name: "adams" }, { name: "sde-dpm++", steps: 50 }, { name: "em", steps: 100 }]],
];

export default function race(section, about) {
  if (!about.models.length) return nothing(section, "The models that are served draw nothing without a picture to begin with.");
  const options = new Options(about, { count: 1 });
  const racers = el("div", { class: "racers" });
  const lanes = el("div", { class: "lanes" });
  const status = el("p", { class: "status", role: "status" });
  const plot = new Plot();
  const add = el("button", { type: "button", onclick: () => join({ name: "em", steps: 100 }) }, "Add a solver");
  let entered = [];
  let running = null;
  let ended = null;

  function join(table) {
    if (entered.length >= 4) return;
    const chooser = new Chooser("Solver", about.solvers, table);
    const leave = el("button", { type: "button", class: "quiet", "aria-label": "Take this solver out" }, "✕");
    const card = el("div", { class: "racer" }, leave, chooser.element);
    leave.addEventListener("click", () => {
      if (entered.length <= 2) return;
      entered = entered.filter((each) => each !== chooser);
      card.remove();
      add.disabled = false;
    });
    entered.push(chooser);
    racers.append(card);
    add.disabled = entered.length >= 4;
  }
  function enter(tables) {
    entered = [];
    racers.replaceChildren();
    tables.forEach(join);
  }
  enter(STARTS[0][1]);

  function lane(name, beside) {
    const pictures = el("div", { class: "pictures" });
    const bar = el("progress", { max: 1, value: 0, "aria-label": `Progress of ${name}` });
    const facts = el("p", { class: "facts" }, "waits");
    const behind = el("div", { class: "behind" });
    const head = el("h2", {}, name, el("span", { class: "hint" }, beside || "its defaults"));
    const element = el("article", { class: "lane", "aria-label": name }, head, pictures, bar, facts, behind);
    return { element, pictures, bar, facts, behind, name, film: [] };
  }

  async function run() {
    running = new AbortController();
    replay.hidden = true;
    button.textContent = "Cancel";
    status.classList.remove("error");
    status.textContent = "A reference is drawn first, then one solver after the other.";
    const body = { ...options.value, solvers: entered.map((each) => each.value) };
    const made = [about.reference, ...body.solvers].map(({ name, ...rest }, i) => {
      const beside = Object.entries(rest).map(([key, value]) => `${key.replaceAll("_", " ")} ${value}`);
      return i ? lane(name, beside.join(", ")) : lane("reference", [name, ...beside].join(", "));
    });
    lanes.replaceChildren(...made.map((each) => each.element));
    const noisy = body.solvers.map(({ name }) => about.solvers.find((each) => each.name === name).stochastic);
    plot.begin(body.solvers.map(({ name }) => name), noisy);
    status.scrollIntoView({ block: "nearest" });
    const hear = (event, news) => {
      if (event === "queued" && news.ahead) status.textContent = waiting(news);
      const here = made[news.lane];
      if (!here) return;
      if (event === "progress") {
        here.film.push(news);
        here.bar.value = news.share;
        here.facts.textContent = cost(news);
        if (!here.pictures.children.length) here.pictures.replaceChildren(...news.pictures.map(() => image("", `${here.name}, emerging`)));
        news.pictures?.forEach((png, i) => { here.pictures.children[i].src = data(png); });
      } else if (event === "lane") {
        finish(here, news, body);
        if (news.lane && !news.failed && !noisy[news.lane - 1]) plot.add(news.lane - 1, news.nfe, news.error);
        if (news.lane === body.solvers.length) status.textContent = "Now each with fewer and with more evaluations…";
      } else if (event === "point") plot.add(news.lane - 1, news.nfe, news.error);
    };
    try {
      const done = await draw("race", body, hear, running.signal);
      status.textContent = `${plot.verdict} The lower pictures are the difference from the reference, times ${done.gain}.`;
      options.next();
      replay.hidden = false;
      replay.onclick = () => show(made.slice(1).filter((each) => each.film.at(-1)?.done));
    } catch (error) {
      status.textContent = error.name === "AbortError" ? "Cancelled." : `${error.message}.`;
      status.classList.toggle("error", error.name !== "AbortError");
    } finally {
      running = null;
      button.textContent = "Race";
    }
  }

  function finish(here, news, body) {
    here.bar.value = 1;
    if (news.failed) {
      here.facts.textContent = `${news.failed}.`;
      return;
    }
    here.film.push({ ...news, share: 1, done: true });
    const solver = news.lane ? body.solvers[news.lane - 1] : about.reference;
    const chosen = about.solvers.find((each) => each.name === solver.name);
    here.facts.textContent = cost(news);
    here.pictures.replaceChildren(...news.pictures.map((png, i) => {
      const { solvers, ...rest } = body;
      return figure(png, `seed ${body.seed + i}`, { task: "generate", ...rest, solver, seed: body.seed + i, count: 1 });
    }));
    if (!news.lane) return;
    here.behind.append(
      ...news.difference.map((png) => image(data(png), `Difference of ${here.name} from the reference`)),
      el("p", { class: "hint" }, chosen.stochastic ? `${news.error.toFixed(1)} levels off: it adds noise, so it draws another picture` : `${news.error.toFixed(2)} of 255 levels off`),
    );
  }

  // The racers side by side, each as fast as it was, or all of them slower or faster by one factor.
  function show(racing) {
    const longest = Math.max(...racing.map((each) => each.film.at(-1).seconds));
    const rate = longest / Math.min(6, Math.max(3, longest));
    const began = performance.now();
    replay.disabled = true;
    const step = () => {
      const now = ((performance.now() - began) / 1000) * rate;
      for (const { film, bar, facts, pictures } of racing) {
        const frame = film.findLast((each) => each.seconds <= now);
        bar.value = frame?.share ?? 0;
        facts.textContent = frame ? cost(frame) : "starts";
        const shown = pictures.querySelectorAll("img");
        const drawn = film.findLast((each) => each.pictures && each.seconds <= now) || film[0]; // not every frame is a picture
        drawn.pictures.forEach((png, i) => { shown[i].src = data(png); });
      }
      if (now < longest) requestAnimationFrame(step);
      else replay.disabled = false;
    };
    step();
  }

  const replay = el("button", { type: "button", hidden: true }, "Replay side by side");
  const button = el("button", { type: "button", class: "primary", onclick: () => { if (running) running.abort(); else ended = run(); } }, "Race");
  const starts = STARTS.map(([text, tables]) => {
    const start = async () => {
      running?.abort();
      await ended;
      enter(tables);
      ended = run();
    };
    return el("button", { type: "button", onclick: start }, text);
  });
  const intro = el("p", { class: "intro" }, "Every solver begins with the same noise and looks for the same picture. Each look of the network costs time: the fewer looks a solver needs, the better it is.");
  section.append(
    el("div", { class: "stage" }, intro, el("div", { class: "examples", role: "group", "aria-label": "Examples" }, el("span", { class: "hint" }, "Start"), ...starts), lanes, replay, status, plot.element),
    options.controls(button, racers, add),
  );
  return {};
}
