// Small helpers that make elements.

import { called, meaning, on, plain, put, word } from "./words.js";

// An element: attributes beginning with "on" are listeners, `class` and others are set as they are.
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made && typeof value !== "string") made[key] = value;
    else if (value !== undefined && value !== null) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

let numbers = 0;
export function fresh(prefix) {
  numbers += 1;
  return `${prefix}-${numbers}`;
}

// A button that opens a sentence about a term, and that sentence.
export function ask(term, technical) {
  const answer = el("p", { class: "hint answer", id: fresh("answer"), hidden: true, role: "status" });
  const button = el("button", { type: "button", class: "ask", "aria-expanded": "false", "aria-controls": answer.id }, "?", el("span", { class: "unseen" }, ` What is this: ${plain(term) || term.replaceAll("_", " ")}`));
  const open = (wanted) => {
    answer.hidden = !wanted;
    answer.textContent = wanted ? meaning(term, technical) : "";
    button.setAttribute("aria-expanded", String(wanted));
  };
  button.addEventListener("click", () => open(answer.hidden));
  button.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || answer.hidden) return;
    event.preventDefault(); // the first Escape closes the sentence, the next one a dialog around it
    open(false);
  });
  return [button, answer];
}

// A label with its control, and a "?" where the term has a meaning.
export function labelled(term, control, technical) {
  control.id ||= fresh("control");
  const [button, answer] = meaning(term, technical) ? ask(term, technical) : [];
  return el("div", { class: "field" }, el("div", { class: "term" }, el("label", { for: control.id }, word(term)), button), control, answer);
}

// One of a few words; `chosen(value)` is called with it. Sets what is chosen by `.value`, which may be none of them.
export function segments(term, options, selected, chosen) {
  const [button, answer] = ask(term);
  const name = fresh("segments");
  const inputs = options.map(([value]) => el("input", { type: "radio", name, value, id: fresh("control"), checked: value === selected, onchange: () => chosen(value) }));
  const parts = inputs.map((input, i) => el("span", {}, input, el("label", { for: input.id }, options[i][1])));
  const legend = el("legend", {}, word(term));
  const made = el("fieldset", { class: "segments" }, legend, button, el("div", { class: "parts" }, ...parts), answer);
  return Object.defineProperty(made, "value", {
    get: () => inputs.find((input) => input.checked)?.value ?? null,
    set: (value) => { for (const input of inputs) input.checked = input.value === value; },
  });
}

// A button for something that is on or off for the whole page.
export function toggle(name, text) {
  return el("button", { type: "button", class: "quiet", "data-switch": name, "aria-pressed": String(on(name)), onclick: () => put(name, !on(name)) }, text);
}

export function choice(options, selected, attributes = {}) {
  const made = el("select", attributes);
  for (const [value, text] of options) made.append(el("option", { value, selected: value === selected }, text));
  return made;
}

// A sentence at the bottom that goes away, with something that can be done.
export function toast(text, action, act) {
  const close = () => made.remove();
  const made = el("div", { class: "toast" }, el("span", {}, text));
  if (action) {
    made.append(el("button", { type: "button", class: "quiet", onclick: () => { close(); act(); } }, action));
  }
  made.append(el("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: close }, "✕"));
  const place = document.getElementById("toasts");
  place.append(made);
  while (place.children.length > 3) place.firstChild.remove();
  setTimeout(close, action ? 12000 : 6000);
}

export function complain(error) {
  if (error.name !== "AbortError") toast(sentence(error));
}

// What went wrong, with the word of the form for a field.
export function sentence(error) {
  const said = error.message.replace(/^\w+(?= must be )/, (field) => called(field === "count" ? "pictures" : field));
  const text = `${said[0].toUpperCase()}${said.slice(1)}`;
  return /[.?!]$/.test(text) ? text : `${text}.`;
}

export function data(png) {
  return `data:image/png;base64,${png}`;
}

export function blob(png) {
  const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}

export function download(href, name) {
  const link = el("a", { href, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}

// An image; with few pixels it is smoothed, unless somebody wants to see them.
export function image(src, alt) {
  const made = el("img", { src, alt, draggable: false });
  made.addEventListener("load", () => made.classList.toggle("small", made.naturalWidth <= 128));
  return made;
}

// Where one stands in the line.
export function waiting(news) {
  const about = news.seconds ? `, about ${news.seconds} s` : "";
  return `Waiting: ${news.ahead} before this one${about}.`;
}

export function cost(done) {
  const products = done.vjps ? ` and ${done.vjps} ${done.vjps === 1 ? "product" : "products"}` : "";
  return `${done.nfe} ${done.nfe === 1 ? "evaluation" : "evaluations"}${products} · ${done.seconds.toFixed(2)} s`;
}
