// Lists the pairs of responses behind a number side by side, with filters, order, copies, links and keys. What is listed comes from
// case_data.js.
(function () {
  "use strict";
  if (!charmCaseData) return;
  const { RANDOM, LARGEST, ORDERS, index, state, chosenCells, casesOf, matches, ordered, difference, winnerOf, voteOf, record } = charmCaseData;
  const ROWS_AT_ONCE = 30;
  const root = document.getElementById("case-browser");

  // ---- elements

  function element(tag, attributes, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  function signed(value) { return (value > 0 ? "+" : value < 0 ? "−" : "") + Math.abs(value).toPrecision(4); }
  function plain(value) { return (value < 0 ? "−" : "") + Math.abs(value).toPrecision(4); }

  // The text with what was searched for marked.
  function marked(text) {
    const pieces = [];
    const lower = text.toLowerCase(), wanted = state.text.toLowerCase();
    // Lower case may have another length (İ): positions then differ, so nothing is marked.
    if (!wanted || lower.length !== text.length) return [text];
    let at = 0;
    for (let found = lower.indexOf(wanted); found >= 0; found = lower.indexOf(wanted, at)) {
      pieces.push(text.slice(at, found), element("mark", {}, text.slice(found, found + wanted.length)));
      at = found + wanted.length;
    }
    pieces.push(text.slice(at));
    return pieces;
  }

  function badges(one, side) {
    const list = [];
    const add = function (winner, words) { if (winner === side) list.push(element("span", { class: "badge" }, words)); };
    add(winnerOf(one.a.score, one.b.score), "higher score");
    if (one.a.after !== undefined && one.b.after !== undefined) add(winnerOf(one.a.after, one.b.after), "higher after correction");
    add(voteOf(one), "people’s choice");
    return list;
  }

  function featuresText(side) {
    if (!side.features) return "";
    const parts = [];
    index.features.forEach(function (name, i) {
      if (side.features[i] || name === "characters") parts.push(name.replace(/_/g, " ") + " " + side.features[i].toLocaleString("en"));
    });
    return parts.join(" · ");
  }

  function sideElement(one, name) {
    const side = one[name];
    const score = "score " + plain(side.score) + (side.after === undefined ? "" : ", after correction " + plain(side.after));
    const text = side.text === null ? element("p", { class: "missing" }, "The scores file has no text of this response.")
        : side.text === "" ? element("p", { class: "missing" }, "An empty response.")
        : element("pre", { class: "text", tabindex: "0", "aria-label": "Response of " + side.name }, ...marked(side.text));
    return element("div", { class: "side" },
        element("h4", {}, side.name, ...badges(one, name)),
        element("p", { class: "facts" }, score, element("br"), featuresText(side)), text);
  }

  function caseBody(one) {
    const body = element("div", { class: "case-body" });
    body.append(element("h4", {}, "Prompt"));
    body.append(one.prompt === null ? element("p", { class: "missing" }, "The scores file has no text of this prompt.")
                                    : element("pre", { class: "text prompt", tabindex: "0", "aria-label": "Prompt" }, ...marked(one.prompt)));
    body.append(element("div", { class: "sides" }, sideElement(one, "a"), sideElement(one, "b")));
    const facts = ["prompt " + one.prompt_id];
    if (one.sample) facts.push("sample " + one.sample);
    if (one.judge) facts.push("judge " + one.judge);
    body.append(element("p", { class: "facts" }, facts.join(" · ") + " · ", element("a", { href: "#case=" + encodeURIComponent(one.id) }, "link to this case")));
    return body;
  }

  function snippet(one) {
    if (one.prompt === null) return "prompt " + one.prompt_id;
    const line = one.prompt.replace(/\s+/g, " ").trim();
    return line.length > 160 ? line.slice(0, 160) + "…" : line || "(empty prompt)";
  }

  function caseElement(one) {
    const vote = voteOf(one);
    const names = element("span", { class: "pair-names" }, one.a.name, element("span", { class: "against" }, " against "), one.b.name);
    const summary = element("summary", {},
        element("span", { class: "snippet" }, ...marked(snippet(one))), names,
        element("span", { class: "numbers" },
            plain(one.a.score) + " : " + plain(one.b.score) + " ",
            element("b", { class: difference(one) > 0 ? "plus" : "minus" }, signed(difference(one))),
            vote === null ? "" : element("span", { class: "badge" }, vote === "tie" ? "vote: tie" : "vote: " + one[vote].name),
            one.how & RANDOM ? element("span", { class: "badge", title: "Of a randomly drawn prompt" }, "random") : ""));
    const item = element("details", { class: "case", "data-id": one.id }, summary);
    item.addEventListener("toggle", function () {
      if (item.open && !item.querySelector(".case-body")) item.append(caseBody(one));
    });
    return item;
  }

  // ---- the browser

  const controls = {};
  const list = element("div", { class: "case-list" });
  const count = element("p", { class: "facts", role: "status" });
  const order = element("p", { class: "facts" });
  const notes = element("div", {});
  let shown = [];  // cases
  let rows = [];   // their elements, as far as they have been added

  function fill(select, entries, chosen) {
    select.replaceChildren(...entries.map(function (entry) { return element("option", { value: entry[0] }, entry[1]); }));
    select.value = chosen;
    select.closest("label").hidden = entries.length < 2;
  }

  function control(name, label, made, event) {
    controls[name] = made;
    made.addEventListener(event || "change", function () {
      state[name] = name === "group" ? Number(made.value) : made.value;
      if (name === "group") state.a = state.b = state.part = "";
      if (event === "input") {
        clearTimeout(control.timer);
        control.timer = setTimeout(updateAndLink, 150);
      } else {
        updateAndLink();
      }
    });
    return element("label", {}, element("span", {}, label), made);
  }

  function unique(values) { return Array.from(new Set(values)).filter(Boolean).sort(); }

  function fillControls(cases) {
    const cells = index.cells.filter(function (cell) { return cell.group === state.group; });
    const pairs = cells.some(function (cell) { return cell.a; })
        ? cells.map(function (cell) { return [cell.a, cell.b]; })
        : cases.map(function (one) { return [one.a.name, one.b.name]; });
    const names = unique(pairs.flat().concat([state.a, state.b]));
    const any = function (values) { return [["", "any"]].concat(values.map(function (value) { return [value, value]; })); };
    fill(controls.group, index.groups.map(function (group, i) { return [String(i), group.title]; }), String(state.group));
    fill(controls.a, any(names.filter(function (name) { return name !== state.b; })), state.a);
    fill(controls.b, any(names.filter(function (name) { return name !== state.a; })), state.b);
    fill(controls.part, any(unique(cells.map(function (cell) { return cell.part; }))), state.part);
    controls.how.value = state.how;
    controls.feature.value = state.feature;
    controls.more.closest("label").hidden = state.feature === "";
    controls.order.value = state.order;
    if (controls.text.value !== state.text) controls.text.value = state.text;
  }

  function link() {
    const fields = { cases: index.groups[state.group].key, a: state.a, b: state.b, part: state.part };
    return "#" + Object.entries(fields).filter(function (field) { return field[1]; })
        .map(function (field) { return field[0] + "=" + encodeURIComponent(field[1]); }).join("&");
  }

  // Adds rows as the reader scrolls.
  const end = element("div", { class: "case-end" });
  const nearEnd = new IntersectionObserver(function (entries) {
    if (!entries.some(function (entry) { return entry.isIntersecting; })) return;
    addRows();
    nearEnd.unobserve(end);  // so that it reports anew where the rows do not fill the screen
    nearEnd.observe(end);
  }, { rootMargin: "1200px" });
  nearEnd.observe(end);

  // Rows stand in groups: the browser lays out and paints the groups in sight only (content-visibility).
  function addRows(until) {
    do {
      const next = shown.slice(rows.length, rows.length + ROWS_AT_ONCE).map(caseElement);
      if (next.length) list.append(element("div", { class: "case-group" }, ...next));
      rows.push(...next);
    } while (rows.length < Math.min(until || 0, shown.length));
    end.hidden = rows.length >= shown.length;
  }

  let run = 0;
  async function update() {
    const mine = ++run;
    const cells = chosenCells();
    root.setAttribute("aria-busy", "true");
    let cases = [];
    try {
      cases = await casesOf(cells);
    } catch (error) {
      console.error(error);
      if (mine !== run) return;
      notes.replaceChildren(element("p", { class: "warning" }, "The cases cannot be shown: " + error.message + "."));
      root.removeAttribute("aria-busy");
      return;
    }
    if (mine !== run) return;  // a later choice has overtaken this one
    shown = ordered(cases.filter(matches));
    fillControls(cases);
    const total = cells.reduce(function (sum, cell) { return sum + cell.total; }, 0);
    count.textContent = shown.length + " of " + cases.length + " cases, selected from " + total.toLocaleString("en") + " comparisons";
    order.textContent = "As selected: " + index.groups[state.group].order + "; then randomly drawn prompts.";
    notes.replaceChildren(...index.groups[state.group].notes.map(function (note) { return element("p", { class: "warning" }, note); }));
    if (!shown.length) notes.append(element("p", { class: "missing" }, cases.length ? "No case fits the filters." : "There are no cases behind this number."));
    list.classList.toggle("one-pair", Boolean(state.a && state.b));
    list.replaceChildren();
    rows = [];
    addRows();
    root.removeAttribute("aria-busy");
  }

  // After a choice of the reader.
  async function updateAndLink() {
    await update();
    history.replaceState(history.state, "", link());
  }

  function build() {
    const options = function (entries) {
      const select = element("select", {});
      select.append(...entries.map(function (entry) { return element("option", { value: entry[0] }, entry[1]); }));
      return select;
    };
    const filters = element("div", { class: "filters", role: "search" },
        control("group", "Number", options([])),
        control("a", "Policy", options([])),
        control("b", "Against", options([])),
        control("part", "Subset or row", options([])),
        control("how", "Selected", options([["", "all"], [LARGEST, "largest differences"], [RANDOM, "random draw"]])),
        control("feature", "Feature", options([["", "any"]].concat(index.features.map(function (name, i) { return [i, name.replace(/_/g, " ")]; })))),
        control("more", "of which", options([["a", "the first has more"], ["b", "the second has more"], ["equal", "both have the same"], ["some", "either has any"]])),
        control("order", "Order", options(Object.entries(ORDERS).map(function (entry) { return [entry[0], entry[1][0]]; }))),
        control("text", "Search in texts", element("input", { type: "search", placeholder: "press / to search" }), "input"));
    const copies = element("div", { class: "tools" });
    for (const format of ["CSV", "JSON"]) copies.append(charmCopy.button(format, function () { return shown.map(record); }));
    root.replaceChildren(filters, count, order, notes, copies, list, end,
        element("p", { class: "facts keys" }, "Keys: / search, j and k next and previous case, Enter opens, Esc closes."));
  }

  // ---- links and keys

  function groupNumber(key) { return index.groups.findIndex(function (group) { return group.key === key; }); }

  async function follow() {
    const fields = new URLSearchParams(location.hash.slice(1).replace(/\+/g, "%2B"));
    const id = fields.get("case");
    if (id !== null) return openCase(id);
    const number = groupNumber(fields.get("cases"));
    if (number < 0) return;
    Object.assign(state, { group: number, a: fields.get("a") || "", b: fields.get("b") || "", part: fields.get("part") || "",
                           how: "", feature: "", text: "", order: "selected" });
    await update();
    document.getElementById("cases").scrollIntoView();
    const first = list.querySelector("summary");
    if (first) first.focus({ preventScroll: true });
  }

  async function openCase(id) {
    const cell = index.cells.find(function (one) { return one.cases.some(function (entry) { return entry[0] === id; }); });
    if (!cell) {
      await update();
      notes.append(element("p", { class: "warning" }, "The case " + id + " is not among those of this report; one with more --cases may have it."));
      document.getElementById("cases").scrollIntoView();
      return;
    }
    const hash = location.hash;
    Object.assign(state, { group: cell.group, a: cell.a, b: cell.b, part: cell.part, how: "", feature: "", text: "", order: "selected" });
    await update();
    const place = shown.findIndex(function (one) { return one.id === id; });
    addRows(place + 1);
    const item = rows[place];
    item.open = true;
    item.querySelector("summary").focus({ preventScroll: true });
    item.scrollIntoView();
    history.replaceState(history.state, "", hash);
  }

  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
    const current = document.activeElement.closest && document.activeElement.closest(".case");
    if (event.key === "Escape" && current) {
      current.open = false;
      current.querySelector("summary").focus();
    } else if (isTyping) {
      return;
    } else if (event.key === "/") {
      controls.text.focus();
      controls.text.scrollIntoView({ block: "center" });
    } else if ((event.key === "j" || event.key === "k") && (root.contains(document.activeElement) || location.hash.startsWith("#case"))) {
      const at = current ? rows.indexOf(current) + (event.key === "j" ? 1 : -1) : 0;
      if (at === rows.length) addRows();
      if (!rows[at]) return;
      rows[at].querySelector("summary").focus();
    } else {
      return;
    }
    event.preventDefault();
  });

  build();
  if (/^#cases?=/.test(location.hash)) {
    follow();
  } else {
    // Unpacks the texts when the reader comes near.
    const near = new IntersectionObserver(function (entries) {
      if (!entries.some(function (entry) { return entry.isIntersecting; })) return;
      near.disconnect();
      if (!run) update();
    }, { rootMargin: "600px" });
    near.observe(root);
  }
  window.addEventListener("hashchange", follow);
})();
