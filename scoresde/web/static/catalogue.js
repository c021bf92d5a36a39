// What was kept.

import { get, send } from "./api.js";
import { choice, complain, download, el, image, labelled, toast } from "./dom.js";
import { on } from "./words.js";

const PAGE = 50;

export function catalogue(section, again) {
  const query = el("input", { type: "search", placeholder: "Search the captions", "aria-label": "Search", autocomplete: "off" });
  const order = choice([["newest", "newest"], ["oldest", "oldest"], ["name", "name"], ["random", "random"]], "newest", {});
  const grid = el("div", { class: "kept" });
  const status = el("p", { class: "status", role: "status" });
  const back = el("button", { type: "button", onclick: () => turn(-PAGE) }, "Earlier page");
  const on = el("button", { type: "button", onclick: () => turn(PAGE) }, "Next page");
  const all = el("button", { type: "button", onclick: () => download("api/catalogue.zip", "pictures.zip") }, "Download all");
  let offset = 0;
  let seed = 0; // of the random order
  let asked = 0;

  async function show() {
    asked += 1;
    const mine = asked;
    const words = new URLSearchParams({ order: order.value, offset, limit: PAGE, query: query.value, seed });
    try {
      const { entries, total } = await get(`api/catalogue?${words}`);
      if (mine !== asked || grid.querySelector("input")) return; // somebody typed on, or writes a new caption
      grid.replaceChildren(...entries.map(card));
      const last = offset + entries.length;
      if (total) status.textContent = total > PAGE ? `${offset + 1} to ${last} of ${total.toLocaleString("en")}` : `${total} kept`;
      else status.textContent = query.value ? "Nothing is called like that." : "Nothing is kept yet. “Keep…” under a picture puts it here.";
      all.disabled = !total && !query.value;
      back.hidden = offset === 0;
      on.hidden = last >= total;
    } catch (error) {
      complain(error);
    }
  }

  function turn(by) {
    offset = Math.max(0, offset + by);
    show();
    scrollTo({ top: 0 });
  }

  function card(entry) {
    const src = `api/catalogue/${entry.id}.png`;
    const title = el("span", { class: "label" }, entry.caption || "without a caption");
    const when = el("time", { datetime: new Date(entry.created * 1000).toISOString(), class: "hint" }, new Date(entry.created * 1000).toLocaleDateString());
    const named = entry.caption ? `“${entry.caption}”` : `picture ${entry.id}`;
    const act = (text, does) => el("button", { type: "button", class: "quiet", "aria-label": `${text}: ${named}`, onclick: does }, text);
    const actions = el(
      "div",
      { class: "actions" },
      entry.parameters.task ? act("Again", () => repeat(entry)) : null,
      act("Download", () => download(on("pixels") ? src : `${src}?large=true`, `${entry.caption || entry.id}.png`)),
      act("Rename", () => rename(entry, title)),
      act("Delete", () => remove(entry, named)),
    );
    return el("figure", { class: "result", "data-entry": entry.id }, image(src, entry.caption || `Picture ${entry.id}`), el("figcaption", {}, title, when, actions));
  }

  async function repeat(entry) {
    try {
      again((await get(`api/catalogue/${entry.id}`)).parameters); // with the pictures that a page of entries leaves out
    } catch (error) {
      complain(error);
    }
  }

  function rename(entry, title) {
    const field = el("input", { type: "text", value: entry.caption, maxlength: 500, "aria-label": "New caption", autocomplete: "off" });
    let over = false;
    const end = async (keep, back) => {
      if (over) return;
      over = true;
      field.replaceWith(title);
      try {
        if (keep) await send("PATCH", `api/catalogue/${entry.id}`, { caption: field.value });
      } catch (error) {
        complain(error);
      }
      await show();
      if (back) grid.querySelector(`[data-entry="${entry.id}"] [aria-label^="Rename"]`)?.focus(); // for those who have no mouse
    };
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") end(true, true);
      if (event.key === "Escape") end(false, true);
    });
    field.addEventListener("blur", () => end(true));
    title.replaceWith(field);
    field.select();
  }

  async function remove(entry, named) {
    try {
      await send("DELETE", `api/catalogue/${entry.id}`);
      toast(`Deleted ${named}`, "Undo", async () => {
        try {
          await send("POST", `api/catalogue/${entry.id}/restore`, {});
        } catch (error) {
          complain(error);
        }
        show();
      });
      show();
    } catch (error) {
      complain(error);
    }
  }

  let typing = null;
  query.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => { offset = 0; show(); }, 150);
  });
  order.addEventListener("change", () => {
    offset = 0;
    seed = Math.floor(Math.random() * 2 ** 31);
    show();
  });
  section.append(
    el("div", { class: "toolbar" }, query, labelled("order", order), all),
    status,
    grid,
    el("div", { class: "pager" }, back, on),
  );
  return { show };
}
