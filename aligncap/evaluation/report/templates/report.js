"use strict";
// Everything is readable without this script: it sorts, filters and tells where a number is from.
const sources = JSON.parse(document.getElementById("sources").textContent);
for (const hint of document.querySelectorAll(".scripted")) hint.hidden = false;

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const key = (row, at) => {
    const cell = row.cells[at];
    const text = (cell.querySelector(".n") || cell).textContent.trim();
    const number = parseFloat(text.replace(/^\[/, ""));
    return Number.isNaN(number) ? text : number;
  };
  const compare = (one, other) => typeof one === typeof other
    ? (typeof one === "number" ? one - other : one.localeCompare(other))
    : (typeof one === "number" ? -1 : 1);
  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const first = head.textContent.includes("↓") || at === 0 ? "ascending" : "descending";
      const other = first === "ascending" ? "descending" : "ascending";
      const order = head.getAttribute("aria-sort") === first ? other : first;
      heads.forEach((own) => own.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      for (const body of table.tBodies) {
        const rows = [...body.rows].filter((row) => !row.classList.contains("title"));
        const known = rows.filter((row) => key(row, at) !== "–");
        known.sort((a, b) => (order === "ascending" ? 1 : -1) * compare(key(a, at), key(b, at)));
        body.append(...known, ...rows.filter((row) => key(row, at) === "–"));
      }
    });
  });
}

function link(href, text) {
  const made = document.createElement("a");
  made.href = href;
  made.textContent = text;
  return made;
}

const dialog = document.querySelector("dialog");

function tell(number) {
  const cell = number.closest("td"), row = cell.closest("tr"), table = cell.closest("table");
  const list = dialog.querySelector("dl");
  const add = (term, ...what) => {
    const dt = document.createElement("dt"), dd = document.createElement("dd");
    dt.textContent = term;
    dd.append(...what);
    list.append(dt, dd);
  };
  const file = (href) => {
    const own = sources[href];
    const known = own ? [" by rule ", own.rule] : [];
    const run = own && own.run ? [", MLflow run ", own.runHref ? link(own.runHref, own.run) : own.run] : [];
    const line = document.createElement("div");
    line.append(link(href, href), ...known, ...run);
    return line;
  };
  list.replaceChildren();
  const head = row.cells[0].cloneNode(true), small = cell.querySelector("small");
  head.querySelector("small")?.remove();
  add("table", table.caption.textContent);
  add("row", head.textContent);
  add("column", table.tHead.rows[0].cells[cell.cellIndex].textContent);
  add("value", number.textContent + (small ? ` ${small.textContent}` : ""));
  add("file", file(number.getAttribute("href")));
  if (row.dataset.rows) add("clip by clip", ...row.dataset.rows.split(" ").map(file));
  dialog.showModal();
}

// One number of a table is in the tab order; arrow keys go on from there.
function roving(table) {
  const at = (row, column) => row?.cells[column]?.querySelector(".n");
  const step = (cell, key) => {
    const row = cell.parentElement, rows = [...table.querySelectorAll("tbody tr")];
    const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[key];
    let y = rows.indexOf(row) + down, x = cell.cellIndex + right;
    while (rows[y] && x > 0 && x < row.cells.length) {
      const found = at(rows[y], x);
      if (found) return found;
      y += down;
      x += right;
    }
    return null;
  };
  const numbers = [...table.querySelectorAll(".n")];
  numbers.forEach((number, place) => { number.tabIndex = place ? -1 : 0; });
  table.addEventListener("keydown", (event) => {
    const cell = event.target.closest("td");
    if (!cell || !event.target.matches(".n") || !event.key.startsWith("Arrow")) return;
    const found = step(cell, event.key);
    if (!found) return;
    event.preventDefault();
    numbers.forEach((number) => { number.tabIndex = -1; });
    found.tabIndex = 0;
    found.focus();
  });
  table.addEventListener("click", (event) => {
    const number = event.target.closest(".n");
    if (!number || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    tell(number);
  });
}

for (const table of document.querySelectorAll("table.sortable")) {
  sortable(table);
  roving(table);
}
dialog.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.matches("a[href^='#']")) dialog.close();
});

const filters = document.querySelector(".filters");
if (filters) {
  const examples = [...document.querySelectorAll(".example")];
  for (const name of ["emotion", "corpus"]) {
    const values = [...new Set(examples.map((own) => own.dataset[name]))].sort();
    filters.elements[name].append(...values.map((value) => new Option(value, value)));
  }
  const show = () => {
    const { emotion, corpus, disagree } = filters.elements;
    for (const own of examples) {
      own.hidden = Boolean((emotion.value && own.dataset.emotion !== emotion.value)
        || (corpus.value && own.dataset.corpus !== corpus.value)
        || (disagree.checked && own.dataset.disagree !== "yes"));
    }
    const shown = examples.filter((own) => !own.hidden).length;
    filters.querySelector("output").textContent = `${shown} of ${examples.length} clips`;
  };
  filters.addEventListener("input", show);
  filters.hidden = false;
  show();
}
