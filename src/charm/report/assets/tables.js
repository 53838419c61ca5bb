// Sorts, filters and copies every table of the page. `charmCopy` is used by cases.js, too.
const charmCopy = (function () {
  "use strict";

  function csvField(value) {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\r\n]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
  }

  // Where the clipboard is not available (a page from plain http), a selected text is.
  function toClipboard(text) {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    return new Promise(function (resolve, reject) {
      const area = document.createElement("textarea");
      area.value = text;
      area.style.position = "fixed";
      area.style.opacity = "0";
      document.body.appendChild(area);
      area.select();
      const copied = document.execCommand("copy");
      area.remove();
      copied ? resolve() : reject(new Error("the browser refused to copy"));
    });
  }

  // rows: objects with the same members.
  function csv(rows) {
    const names = rows.length ? Object.keys(rows[0]) : [];
    const lines = [names].concat(rows.map(function (row) { return names.map(function (name) { return row[name]; }); }));
    return lines.map(function (line) { return line.map(csvField).join(",") + "\r\n"; }).join("");
  }

  // A button that copies what `rows()` gives and says how it went.
  function button(format, rows) {
    const element = document.createElement("button");
    const label = "Copy " + format;
    element.type = "button";
    element.textContent = label;
    element.addEventListener("click", function () {
      const all = rows();
      const text = format === "CSV" ? csv(all) : JSON.stringify(all, null, 1) + "\n";
      const say = function (words) {
        element.textContent = words;
        setTimeout(function () { element.textContent = label; }, 1500);
      };
      toClipboard(text).then(function () { say("Copied " + all.length); }, function (error) {
        console.error(error);
        say("Not copied: " + error.message);
      });
    });
    return element;
  }

  return { csv: csv, button: button };
})();

(function () {
  "use strict";
  const FEWEST_ROWS_TO_FILTER = 8;

  // The number that a cell begins with; NaN for a text.
  function numberOf(text) {
    const match = /^\s*(?:<\s*)?([+\-−]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)/i.exec(text);
    return match ? Number(match[1].replace("−", "-")) : NaN;
  }

  function compareTexts(a, b) { return a.localeCompare(b, "en", { numeric: true }); }

  // Numbers by value, cells without a number last in either direction.
  function sortRows(table, column, isNumber, direction) {
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, function (row) {
      const text = row.cells[column] ? row.cells[column].textContent : "";
      return { row: row, text: text, number: isNumber ? numberOf(text) : NaN };
    });
    rows.sort(function (a, b) {
      if (!isNumber) return direction * compareTexts(a.text, b.text);
      if (isNaN(a.number) || isNaN(b.number)) return isNaN(a.number) - isNaN(b.number);
      return direction * (a.number - b.number);
    });
    rows.forEach(function (entry) { body.appendChild(entry.row); });
  }

  function makeSortable(table) {
    const headers = Array.from(table.tHead.rows[0].cells);
    headers.forEach(function (header, column) {
      const isNumber = header.classList.contains("number");
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.textContent = header.textContent;
      if (!header.textContent) button.setAttribute("aria-label", "Sort by the first column");
      button.addEventListener("click", function () {
        // Numbers: the largest first.
        const now = header.getAttribute("aria-sort");
        const next = now === null ? (isNumber ? "descending" : "ascending")
                                  : now === "ascending" ? "descending" : "ascending";
        headers.forEach(function (other) { other.removeAttribute("aria-sort"); });
        header.setAttribute("aria-sort", next);
        sortRows(table, column, isNumber, next === "ascending" ? 1 : -1);
      });
      header.replaceChildren(button);
    });
  }

  function visibleRows(table) {
    const names = Array.from(table.tHead.rows[0].cells, function (cell, i) { return cell.textContent || (i === 0 ? "name" : "column " + (i + 1)); });
    return Array.from(table.tBodies[0].rows).filter(function (row) { return !row.hidden; }).map(function (row) {
      const object = {};
      Array.from(row.cells).forEach(function (cell, i) { object[names[i]] = cell.textContent; });
      return object;
    });
  }

  function filterField(table) {
    const field = document.createElement("input");
    field.type = "search";
    field.placeholder = "Filter rows";
    field.setAttribute("aria-label", "Filter rows of the table");
    field.addEventListener("input", function () {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of table.tBodies[0].rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every(function (word) { return text.includes(word); });
      }
    });
    return field;
  }

  for (const table of document.querySelectorAll(".scroll > table")) {
    const num_rows = table.tBodies[0].rows.length;
    const tools = document.createElement("div");
    tools.className = "tools";
    if (num_rows >= FEWEST_ROWS_TO_FILTER) tools.appendChild(filterField(table));
    for (const format of ["CSV", "JSON"]) tools.appendChild(charmCopy.button(format, function () { return visibleRows(table); }));
    if (num_rows > 1) makeSortable(table);
    table.parentNode.before(tools);
  }

  // Paper has no way to open a part; tables of all pairs are left to the screen.
  const MOST_ROWS_TO_PRINT = 60;
  let opened = [];
  window.addEventListener("beforeprint", function () {
    opened = Array.from(document.querySelectorAll("details:not(.case):not([open])")).filter(function (part) {
      return part.querySelectorAll("tbody tr").length <= MOST_ROWS_TO_PRINT;
    });
    opened.forEach(function (part) { part.open = true; });
  });
  window.addEventListener("afterprint", function () {
    opened.forEach(function (part) { part.open = false; });
  });
})();
