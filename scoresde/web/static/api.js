// What the page asks the server, and how its answers arrive.

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

export async function send(method, path, body) {
  const options = { method };
  if (body !== undefined) {
    options.headers = { "content-type": "application/json" };
    options.body = JSON.stringify(body);
  }
  return (await ask(path, options)).json();
}

// The picture in a file, cut and resized by the server to the size of a model.
export async function fit(blob, model) {
  const response = await ask(`api/fit?model_name=${encodeURIComponent(model)}`, {
    method: "POST",
    headers: { "content-type": "application/octet-stream" },
    body: blob,
  });
  return response.json();
}

// Draws pictures: `hear(event, data)` is called for each event, and what the last one says is returned.
export async function draw(task, body, hear, signal) {
  const response = await ask(`api/${task}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
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
