// What the page asks the server, and how its answers arrive.

import { complain, download } from "./dom.js";

async function checked(response) {
  if (response.ok) return response;
  let sentence = `the server answered ${response.status}`;
  try {
    sentence = (await response.json()).error || sentence;
  } catch { /* the answer was no JSON */ }
  throw new Error(sentence);
}

const GONE = "the server cannot be reached: is scoresde web still running?";

async function ask(path, options) {
  try {
    let response = await fetch(path, options);
    if (response.status === 401) { // the server was started again: on the same machine its page brings the new key
      await fetch("./", { cache: "no-store" });
      response = await fetch(path, options);
    }
    return await checked(response);
  } catch (error) {
    throw error instanceof TypeError ? new Error(GONE) : error; // what browsers throw, each in words of its own
  }
}

export async function get(path) {
  return (await ask(path)).json();
}

export async function picture(path) {
  return (await ask(path)).blob();
}

const json = (body) => ({ headers: { "content-type": "application/json" }, body: JSON.stringify(body) });

export async function send(method, path, body) {
  return (await ask(path, { method, ...(body === undefined ? {} : json(body)) })).json();
}

// The address of a file that the server makes of something.
export async function made(path, body) {
  return URL.createObjectURL(await (await ask(path, { method: "POST", ...json(body) })).blob());
}

// Downloads such a file.
export async function fetched(path, body, name) {
  try {
    const url = await made(path, body);
    download(url, name);
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  } catch (error) {
    complain(error);
  }
}

// The picture in a file as the server reads it, at its own size, and if it is wanted in grey.
export async function fit(blob, model, grey) {
  const response = await ask(`api/fit?model_name=${encodeURIComponent(model)}&grey=${grey}`, {
    method: "POST",
    headers: { "content-type": "application/octet-stream" },
    body: blob,
  });
  return response.json();
}

// About how long a drawing will take, in words; nothing if that is not known.
export async function duration(task, { picture, mask, ...body }) {
  try {
    const { seconds } = await send("POST", "api/estimate", { task, ...body });
    if (!seconds) return "";
    const takes = seconds < 90 ? `${Math.max(1, Math.ceil(seconds))} s` : `${Math.round(seconds / 60)} min`;
    return `${body.count} ${body.count === 1 ? "picture takes" : "pictures take"} about ${takes}.`;
  } catch {
    return ""; // what is wrong with it the drawing says
  }
}

// Draws pictures: `hear(event, data)` is called for each event, and what the last one says is returned.
export async function draw(task, body, hear, signal) {
  const response = await ask(`api/${task}`, { method: "POST", ...json(body), signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read().catch((error) => {
      throw error.name === "AbortError" ? error : new Error(GONE);
    });
    if (done) throw new Error(GONE);
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      if (part.startsWith(":")) continue; // a sign of life
      const [first, second] = part.split("\n");
      const event = first.replace("event: ", "");
      const data = JSON.parse(second.replace("data: ", ""));
      if (event === "failed") throw new Error(data.error);
      if (event === "done") return data;
      hear(event, data);
    }
  }
}
