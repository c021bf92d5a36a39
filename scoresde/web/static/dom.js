// Small helpers that make elements.

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

// A label with its control.
export function labelled(text, control, hint) {
  control.id ||= fresh("control");
  const made = el("div", { class: "field" }, el("label", { for: control.id }, text), control);
  if (hint) made.title = hint;
  return made;
}

export function choice(options, selected, attributes = {}) {
  const made = el("select", attributes);
  for (const [value, text] of options) made.append(el("option", { value, selected: value === selected }, text));
  return made;
}

// A sentence at the bottom that goes away, with something that can be done.
export function toast(sentence, action, act) {
  const close = () => made.remove();
  const made = el("div", { class: "toast" }, el("span", {}, sentence));
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
  if (error.name !== "AbortError") toast(`${error.message[0].toUpperCase()}${error.message.slice(1)}.`);
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

// An image that shows its pixels where it has few of them.
export function image(src, alt) {
  const made = el("img", { src, alt, draggable: false });
  made.addEventListener("load", () => made.classList.toggle("pixels", made.naturalWidth <= 128));
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
