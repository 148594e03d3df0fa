// The caption page: record or choose, send, show what comes back word by word.
import { recorder } from "/static/recorder.js";

const HISTORY = "aligncap.history";
const KEPT = 50; // captions that this browser remembers

const find = (id) => document.getElementById(id);
const page = {
  status: find("status"), results: find("results"), record: find("record"), recordText: find("record-text"),
  files: find("files"), drop: find("drop"), language: find("language"), compare: find("compare"), clear: find("clear"),
};
let server = { systems: [], limits: { megabytes: Infinity, seconds: Infinity } };
let ready; // a promise: what the server can do is known
let cleared = 0; // how often the history was cleared

function say(text) { page.status.textContent = text; }

function seconds(value) { return `${value.toFixed(1)} s`; }

// One card of the list; `entry` is what the history keeps of it.
function card(entry) {
  const item = find("result").content.firstElementChild.cloneNode(true);
  const part = (selector) => item.querySelector(selector);
  const bars = [];
  part("h3").textContent = entry.name;

  function meta() {
    const time = new Date(entry.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    part(".meta").textContent = entry.duration_s ? `${seconds(entry.duration_s)}, ${time}` : time;
  }

  function wave() {
    if (!entry.peaks) return;
    const svg = part(".wave");
    const step = 640 / entry.peaks.length;
    svg.replaceChildren(...entry.peaks.map((peak, i) => {
      const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      const height = Math.max(2, peak * 52);
      const place = { x: i * step, y: 28 - height / 2, width: step * 0.62, height };
      for (const [name, value] of Object.entries(place)) bar.setAttribute(name, value.toFixed(2));
      bars[i] = bar;
      return bar;
    }));
    svg.setAttribute("aria-label", `Waveform, ${seconds(entry.duration_s)}`);
    svg.removeAttribute("hidden"); // SVG elements have no such property
  }

  function clues() {
    if (!entry.clues) return;
    const chips = entry.clues.map((clue) => {
      const chip = document.createElement("li");
      const percent = `${Math.round(clue.probability * 100)} %`;
      const add = (name, text) => {
        const span = document.createElement("span");
        span.className = name;
        span.textContent = text;
        chip.append(span, " ");
      };
      add("kind", clue.kind);
      add("lemma", (clue.negated ? "not " : "") + clue.lemma);
      add("probability", percent);
      const bar = document.createElement("span");
      bar.className = "bar";
      bar.setAttribute("aria-hidden", "true");
      bar.style.width = percent.replace(" ", "");
      chip.append(bar);
      return chip;
    });
    if (!chips.length) {
      const none = document.createElement("li");
      none.textContent = "no clue is sure enough";
      chips.push(none);
    }
    part(".clues").replaceChildren(...chips);
    part(".clues").hidden = false;
  }

  function captions() {
    part(".captions").replaceChildren(...entry.captions.map((caption) => {
      const block = document.createElement("div");
      block.className = caption.done ? "caption" : "caption speaking";
      const text = document.createElement("q");
      text.textContent = caption.text;
      const system = document.createElement("span");
      system.className = "system";
      system.textContent = caption.system + (caption.done && !caption.finished ? ", cut off at the length limit" : "");
      block.append(text, system);
      return block;
    }));
  }

  function transcript() {
    if (!entry.transcript) return;
    part(".transcript").textContent = `Words: “${entry.transcript}”`;
    part(".transcript").hidden = false;
  }

  function warnings() {
    part(".warning").textContent = (entry.warnings ?? []).map((text) => text[0].toUpperCase() + text.slice(1) + ".").join(" ");
    part(".warning").hidden = !entry.warnings?.length;
  }

  function problem() {
    if (!entry.problem) return;
    part(".problem").textContent = entry.problem;
    part(".problem").hidden = false;
  }

  function play(blob) {
    const audio = part("audio");
    audio.src = URL.createObjectURL(blob);
    audio.setAttribute("aria-label", `Play ${entry.name}`);
    audio.hidden = false;
    audio.addEventListener("error", () => { audio.hidden = true; });  // the server may read what the browser cannot
    audio.addEventListener("timeupdate", () => {
      const reached = (audio.currentTime / entry.duration_s) * bars.length;
      bars.forEach((bar, i) => bar.classList.toggle("played", audio.currentTime > 0 && i < reached));
    });
  }

  function show() { meta(); wave(); clues(); captions(); transcript(); warnings(); problem(); }
  show();
  return { item, meta, wave, clues, captions, transcript, warnings, problem, play };
}

function remember(entry) {
  const kept = [entry, ...history()].slice(0, KEPT);
  try { localStorage.setItem(HISTORY, JSON.stringify(kept)); } catch { /* private window: the page alone remembers */ }
}

function history() {
  try { return JSON.parse(localStorage.getItem(HISTORY) ?? "[]"); } catch { return []; }
}

function listed() {
  const some = page.results.children.length > 0;
  find("empty").hidden = some;
  page.clear.hidden = !some;
}

// Events of a text/event-stream body; EventSource cannot send a file.
async function* serverEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const field = (name) => block.split(/\r?\n/).filter((line) => line.startsWith(`${name}:`))
        .map((line) => line.slice(name.length + 1).trim()).join("\n");
      if (field("event")) yield { kind: field("event"), data: JSON.parse(field("data")) };
    }
  }
}

async function explain(response) {
  if (response.status === 413) return `it is larger than ${server.limits.megabytes} MB`;
  try { return (await response.json()).detail; } catch { return `the server answered ${response.status}`; }
}

async function caption(blob, name) {
  const entry = { name, at: Date.now(), captions: [] };
  const began = cleared;
  const view = card(entry);
  page.results.prepend(view.item);
  listed();
  view.play(blob);
  say(`Captioning ${name}`);
  try {
    ready = ready.catch(meet); // the server may have come back
    await ready;
    if (blob.size > server.limits.megabytes * 1e6) {
      throw new Error(`${name}: it is larger than ${server.limits.megabytes} MB`);
    }
    const form = new FormData();
    form.append("file", blob, name);
    form.append("language", page.language.value);
    form.append("compare", String(page.compare.checked && server.systems.length > 1));
    const response = await fetch("/v1/captions/stream", { method: "POST", body: form });
    if (!response.ok) throw new Error(await explain(response));
    let complete = false;
    for await (const { kind, data } of serverEvents(response)) {
      if (kind === "audio") { Object.assign(entry, data); view.meta(); view.wave(); }
      if (kind === "heard") { Object.assign(entry, data); view.clues(); view.transcript(); view.warnings(); }
      if (kind === "caption") {
        const place = entry.captions.findIndex((own) => own.system === data.system);
        if (place < 0) entry.captions.push(data); else entry.captions[place] = data;
        view.captions();
      }
      if (kind === "error") throw new Error(`${name}: ${data.message}`);
      complete ||= kind === "done";
    }
    if (!complete) throw new Error(`${name}: the connection was lost before the caption was whole`);
    say(entry.captions.map((own) => `${own.system}: ${own.text}`).join(" "));
  } catch (error) {
    entry.problem = error instanceof TypeError ? `${name}: the server cannot be reached; is it still running?` : error.message;
    entry.captions.forEach((own) => { own.done = own.finished = true; });
    view.captions();
    view.problem();
  }
  if (began === cleared) remember(entry); // what was cleared in the meantime stays away
}

async function captionAll(files) {
  await Promise.all([...files].map((file) => caption(file, file.name)));
}

function wire() {
  const recording = recorder(find("level"), {
    started() {
      page.record.classList.add("on");
      page.recordText.textContent = "Stop";
      say("Recording");
    },
    progress(time) {
      page.recordText.textContent = `Stop, ${Math.floor(time)} s`;
      if (time >= server.limits.seconds - 0.5) recording.stop();
    },
    stopped(blob) {
      page.record.classList.remove("on");
      page.recordText.textContent = "Record";
      if (blob) caption(blob, "Recording");
    },
    refused(reason) {
      const view = card({ name: "Recording", at: Date.now(), captions: [], problem: reason });
      page.results.prepend(view.item);
      listed();
    },
  });
  page.record.addEventListener("click", () => recording.toggle());
  find("choose").addEventListener("click", () => page.files.click());
  page.files.addEventListener("change", () => { captionAll(page.files.files); page.files.value = ""; });
  // Anywhere on the page: a file that misses the box would otherwise replace the page.
  for (const kind of ["dragover", "drop", "dragleave"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      page.drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop") captionAll(event.dataTransfer.files);
    });
  }
  page.clear.addEventListener("click", () => {
    cleared += 1;
    try { localStorage.removeItem(HISTORY); } catch { /* nothing was kept */ }
    page.results.replaceChildren();
    listed();
    say("History cleared");
    page.record.focus();
  });
}

async function meet() {
  const response = await fetch("/v1/systems");
  server = await response.json();
  find("main-system").textContent = server.systems[0];
  find("limits").textContent = `up to ${server.limits.seconds} s, ${server.limits.megabytes} MB`;
  if (server.systems.length > 1) {
    find("other-systems").textContent = server.systems.slice(1).join(", ");
    find("compare-label").hidden = false;
  }
  const named = ([code, name]) => new Option(name[0].toUpperCase() + name.slice(1), code);
  page.language.append(...Object.entries(server.languages).map(named));
}

wire();
page.results.append(...history().map((entry) => card(entry).item));
listed();
ready = meet();
