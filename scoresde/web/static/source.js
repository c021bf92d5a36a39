// Where a picture comes from: a file, a drop, the clipboard, the camera, or the model itself.

import { draw, fit } from "./api.js";
import { blob, complain, el } from "./dom.js";

const MOST = 1e6; // pixels: four such pictures are drawn at a time
const READ = ["png", "jpeg", "webp", "gif", "bmp"].map((kind) => `image/${kind}`); // what the server reads
export const KEPT = "from the catalogue"; // what is said of a picture that was kept

// A picture small enough to be sent, and what was done to it, if anything.
async function small(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return [file, ""]; // the server says what is wrong with it
  }
  const scale = Math.min(1, Math.sqrt(MOST / (bitmap.width * bitmap.height)));
  if (scale === 1 && file.size < 9e6 && READ.includes(file.type)) return [file, ""];
  const canvas = el("canvas");
  canvas.width = Math.max(1, Math.floor(bitmap.width * scale));
  canvas.height = Math.max(1, Math.floor(bitmap.height * scale));
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#fff"; // below what is transparent, as on the server
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const made = await new Promise((done) => canvas.toBlob(done, scale < 1 ? "image/jpeg" : "image/png", 0.95));
  if (scale === 1) return [made, ""];
  return [made, `${bitmap.width}×${bitmap.height} pixels, reduced here to ${canvas.width}×${canvas.height}: the command line keeps all of them`];
}

// A picture taken with the camera: by a dialog where the browser lets us, else by the phone's own camera.
async function camera(fallback) {
  if (!navigator.mediaDevices?.getUserMedia) return fallback.click();
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch {
    return fallback.click();
  }
  const video = el("video", { autoplay: true, muted: true, playsInline: true });
  video.srcObject = stream;
  return new Promise((done) => {
    const dialog = el("dialog", { "aria-label": "Camera" }, video);
    const end = (made) => {
      for (const track of stream.getTracks()) track.stop();
      dialog.remove();
      done(made);
    };
    const take = () => {
      const canvas = el("canvas");
      canvas.width = video.videoWidth;
      canvas.height = video.videoHeight;
      canvas.getContext("2d").drawImage(video, 0, 0);
      canvas.toBlob(end, "image/png");
    };
    dialog.append(
      el(
        "div",
        { class: "actions" },
        el("button", { type: "button", class: "primary", onclick: take }, "Take it"),
        el("button", { type: "button", onclick: () => dialog.close() }, "Back"),
      ),
    );
    dialog.addEventListener("close", () => end(null));
    document.body.append(dialog);
    dialog.showModal();
  });
}

// A place for a picture; `taken(fitted, mask)` is called with what the server made of it, and with its hole.
export class Source {
  constructor(section, { model, grey = false, taken }) {
    this.model = model;
    this.grey = grey;
    this.taken = taken;
    this.blob = null;
    this.turn = 0; // counts the pictures that were asked for: only the last one is taken
    const chosen = ({ target }) => {
      const [file] = target.files;
      target.value = ""; // so that the same file, which may be another by now, can be chosen again
      this.take(file);
    };
    const input = (attributes) => el("input", { type: "file", accept: "image/*", hidden: true, onchange: chosen, ...attributes });
    const files = input({});
    const phone = input({ capture: "environment" });
    this.note = el("p", { class: "status", role: "status" });
    this.element = el(
      "div",
      { class: "source" },
      files,
      phone,
      el("p", { class: "hint" }, "Drop or paste a picture, or"),
      el(
        "div",
        { class: "actions" },
        el("button", { type: "button", onclick: () => files.click() }, "Upload"),
        el("button", { type: "button", onclick: async () => this.take(await camera(phone)) }, "Camera"),
        el("button", { type: "button", onclick: () => this.draw() }, "Generate one"),
      ),
      this.note,
    );
    section.addEventListener("dragover", (event) => { event.preventDefault(); this.element.classList.add("over"); });
    section.addEventListener("dragleave", () => this.element.classList.remove("over"));
    section.addEventListener("drop", (event) => {
      event.preventDefault();
      this.element.classList.remove("over");
      this.take(event.dataTransfer.files[0]);
    });
    document.addEventListener("paste", (event) => {
      const file = [...event.clipboardData.files].find((each) => each.type.startsWith("image/"));
      if (file && !section.hidden) this.take(file);
    });
  }

  // Takes a picture, with its hole if it has one, and says something of it.
  async take(file, { said, mask, turn } = {}) {
    if (!file) return;
    turn ??= this.turn += 1;
    this.say("Reading…");
    try {
      const [made, before] = await small(file);
      const fitted = await fit(made, this.model(), this.grey);
      if (turn !== this.turn) return; // another picture was taken since
      this.blob = made;
      this.say(said || before || `${fitted.size.join("×")} pixels: the results have this size, too`);
      await this.taken(fitted, mask);
    } catch (error) {
      if (turn === this.turn) this.say(`${error.message}.`, true);
    }
  }

  // The same picture for another model.
  async again(mask) {
    if (this.blob) await this.take(this.blob, { said: this.note.textContent, mask });
  }

  async draw() {
    const seed = Math.floor(Math.random() * 1e6);
    const turn = (this.turn += 1);
    this.say("Drawing…");
    try {
      const done = await draw("generate", { model: this.model(), count: 1, seed }, () => {});
      if (turn === this.turn) await this.take(blob(done.pictures[0]), { said: `drawn by the model from seed ${seed}`, turn });
    } catch (error) {
      if (turn === this.turn) this.say("");
      complain(error);
    }
  }

  say(sentence, wrong = false) {
    this.note.textContent = sentence;
    this.note.classList.toggle("error", wrong);
  }
}
