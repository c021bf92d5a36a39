// The link for other devices, as text and as a picture for their cameras.

import { get } from "./api.js";
import { el, toast } from "./dom.js";

function show(link) {
  const text = el("input", { type: "text", readonly: true, value: link, "aria-label": "The link" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(link);
      toast("The link is copied");
    } catch {
      text.select(); // where a page may not write to the clipboard, the keyboard can
      toast("Copy the marked link");
    }
  };
  const dialog = el(
    "dialog",
    { "aria-label": "Open on another device", class: "share" },
    el("p", {}, "Point the camera of a phone at this, or send the link. Everyone who has it can use this page."),
    el("img", { src: "api/link.svg", alt: "The link as a QR code" }),
    text,
    el(
      "div",
      { class: "actions" },
      el("button", { type: "button", class: "primary", onclick: () => dialog.close() }, "Back"),
      el("button", { type: "button", onclick: copy }, "Copy the link"),
    ),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

// Adds a button for the link after another button, if others can open the page.
export async function share(last) {
  const { link } = await get("api/link");
  if (link) last.after(el("button", { type: "button", class: "quiet", onclick: () => show(link) }, "Share"));
}
