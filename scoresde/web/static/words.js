// Words for those who do not know the field, beside the names of options; a switch chooses between them.

const root = document.documentElement;

// What is called how, and what it does. Without a word of its own here, an option of a solver is for experts.
const WORDS = {
  model: ["Model", "A network that has learned from one collection of pictures, and draws only such pictures. Its size in pixels stands beside it."],
  pictures: ["Pictures", "How many are drawn at once. Twice as many take about twice as long."],
  quality: ["Quality", "How closely a picture follows the exact result of the network. More evaluations come closer and take longer. Beyond “good” the eye sees no difference."],
  seed: ["Seed", "The number from which the noise is made. The same seed with the same settings draws the same picture again."],
  Solver: ["Method", "The formula by which noise is taken away step by step. They differ in how many steps they need, and some add new noise on the way."],
  steps: ["Steps", "In how many steps the noise is taken away. More steps are closer to the exact result and take longer."],
  tol: ["Accuracy", "The error that is allowed in each step; the method chooses its steps so. Smaller is closer to the exact result and takes longer."],
  class: ["Class", "What is drawn, by its number among the kinds of pictures that the network knows. Several numbers, such as 0, 1, 2, are for one picture each."],
  guidance: ["Guidance", "How strongly a picture is pulled towards its class, where one is chosen. 1 is not at all; more makes pictures more typical and more alike."],
  evaluations: ["Evaluations", "In an evaluation the network looks once at all the pictures and says what in them is noise. Nearly all the time goes into them, so their number tells how much work a picture was, on any machine."],
  path: ["Path", "The network began with noise and took it away step by step. “What it expects” is its guess of the final picture at each moment; “with its noise” is the picture as it really was then."],
};

export const on = (name) => root.dataset[name] === "on";
export const plain = (term) => WORDS[term]?.[0];
export const called = (term) => (!on("expert") && plain(term)) || term.replaceAll("_", " ");

// What a term means: for experts what the server says of an option, if it says something.
export const meaning = (term, technical) => (on("expert") && technical) || WORDS[term]?.[1] || technical;

// A term that changes with the switch.
export function word(term) {
  const made = document.createElement("span");
  made.dataset.term = term;
  made.textContent = called(term);
  return made;
}

// Remembers that something is on or off, and shows it wherever it can be seen.
export function put(name, value) {
  root.dataset[name] = value ? "on" : "off";
  localStorage.setItem(name, root.dataset[name]);
  for (const each of document.querySelectorAll(`[data-switch="${name}"]`)) each.setAttribute("aria-pressed", String(value));
  for (const each of document.querySelectorAll("[data-term]")) each.textContent = called(each.dataset.term);
  document.dispatchEvent(new Event("switched"));
}
