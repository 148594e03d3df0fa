// The annotation page: one recording, two captions, one answer; the server knows whose they are.

const NAME = "aligncap.annotator";
const KEYS = "aligncap.keys";
const CHOICES = { 1: "a", 2: "b", 3: "both_fine", 4: "both_hallucinate" };
const SAID = { a: "A fits better", b: "B fits better", both_fine: "both fine", both_hallucinate: "both hallucinate" };

const find = (id) => document.getElementById(id);
const audio = find("audio");
const answers = [...document.querySelectorAll("[data-choice]")];
let annotator = "";
let question = null;
let plays = 0;
let busy = false;

// A browser may keep nothing, or refuse to be asked: the page alone remembers then.
function kept(key) {
  try { return localStorage.getItem(key); } catch { return null; }
}

function keep(key, value) {
  try {
    if (value === null) localStorage.removeItem(key); else localStorage.setItem(key, value);
  } catch { /* nothing is kept */ }
}

function problem(text) {
  find("problem").textContent = text;
  find("problem").hidden = !text;
}

async function ask(path, body) {
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server cannot be reached. Your last answer may be missing; reload the page when it is back.");
  }
  const found = await response.json().catch(() => ({})); // a server that broke down answers no JSON
  if (!response.ok) throw new Error(typeof found.detail === "string" ? found.detail : "The server did not accept this.");
  return found;
}

function enable() {
  const ready = plays > 0 && !busy;
  for (const button of answers) button.disabled = !ready;
  find("hint").textContent = plays ? "" : "Listen first; then choose.";
  find("plays").textContent = plays === 1 ? "played once" : plays ? `played ${plays} times` : "not played yet";
}

function playing(on) {
  find("play-icon").textContent = on ? "■" : "▶";
  find("play-text").textContent = on ? "Stop" : plays ? "Again" : "Play";
}

function show(state) {
  question = state.question;
  plays = 0;
  audio.pause();
  find("task").hidden = !question;
  find("finished").hidden = Boolean(question);
  find("progress").max = Math.max(1, state.total);
  find("progress").value = state.done;
  find("progress-text").textContent = `${state.done} of ${state.total} answered`;
  find("back").disabled = state.done === 0;
  find("reopen").hidden = state.done === 0;
  if (!question) {
    find("finished-text").textContent = `${state.done} of ${state.total} recordings answered. You may close this page.`;
    find("finished").focus();
    return;
  }
  audio.src = `/audio/${question.task}`;
  find("caption-a").textContent = question.a;
  find("caption-b").textContent = question.b;
  find("position").value = 0;
  playing(false);
  enable();
  find("play").focus();
}

async function change(path, body, said) {
  if (busy) return;
  busy = true;
  enable();
  try {
    const state = await ask(path, { annotator, ...body });
    problem("");
    busy = false;
    show(state);
    find("status").textContent = `${said}. ${find("progress-text").textContent}`;
  } catch (error) {
    busy = false;
    enable();
    problem(error.message);
  }
}

function answer(choice) {
  if (plays > 0) change("/v1/answers", { task: question.task, choice, plays }, SAID[choice]);
}

function back() { change("/v1/back", {}, "Back"); }

async function toggle() {
  if (!audio.paused) { audio.pause(); return; }
  audio.currentTime = 0;
  try {
    await audio.play();
  } catch (error) {
    if (error.name !== "AbortError") problem("This recording cannot be played. Tell whoever runs this page.");
  }
}

async function enter(name) {
  annotator = name;
  try {
    const state = await ask(`/v1/question?${new URLSearchParams({ annotator })}`);
    keep(NAME, annotator);
    problem("");
    find("welcome").hidden = true;
    find("who").hidden = false;
    find("name").textContent = annotator;
    show(state);
  } catch (error) {
    welcome();
    problem(error.message);
  }
}

function welcome() {
  audio.pause();
  question = null;
  for (const id of ["task", "finished", "who"]) find(id).hidden = true;
  find("welcome").hidden = false;
  find("annotator").focus();
}

audio.addEventListener("play", () => { plays += 1; problem(""); playing(true); enable(); });
for (const event of ["pause", "ended"]) audio.addEventListener(event, () => playing(false));
audio.addEventListener("timeupdate", () => { find("position").value = audio.duration ? audio.currentTime / audio.duration : 0; });
find("play").addEventListener("click", toggle);
for (const button of answers) button.addEventListener("click", () => answer(button.dataset.choice));
find("back").addEventListener("click", back);
find("reopen").addEventListener("click", back);
find("leave").addEventListener("click", () => { keep(NAME, null); find("annotator").value = ""; welcome(); });
find("welcome").addEventListener("submit", (event) => {
  event.preventDefault();
  enter(find("annotator").value.trim());
});
find("keys").checked = kept(KEYS) !== "off";
find("keys").addEventListener("change", () => keep(KEYS, find("keys").checked ? "on" : "off"));

document.addEventListener("keydown", (event) => {
  if (!question || !find("keys").checked || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.target.matches("input[type=text]")) return;
  if (event.key === " " && !event.target.matches("button:not(#play), input")) { event.preventDefault(); toggle(); }
  if (CHOICES[event.key]) answer(CHOICES[event.key]);
  if (event.key === "Backspace" && !find("back").disabled) back();
});

const known = kept(NAME);
if (known) enter(known); else welcome();
