// The data of the cases: the index names groups, cells and the places of their cases in bundles; a bundle with texts is unpacked
// from the page, or loaded as cases/<number>.js. `state` is what the reader has chosen; cases.js shows it. Null without cases.
const charmCaseData = (function () {
  "use strict";
  const LARGEST = 1, RANDOM = 2;  // how a case was selected
  const stored = document.getElementById("case-index");
  if (!stored) return null;
  const index = JSON.parse(stored.textContent);

  // ---- bundles

  const bundles = new Map();  // number -> promise
  const arrived = new Map();  // number -> function that takes the bundle

  async function unpack(element) {
    if (typeof DecompressionStream === "undefined") {
      throw new Error("this browser cannot unpack the cases (no DecompressionStream); a newer one can, or write the report with --site");
    }
    const text = atob(element.textContent);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; ++i) bytes[i] = text.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).json();
  }

  window.charmCases = function (number, bundle) { arrived.get(number)(bundle); };

  function loadScript(number) {
    return new Promise(function (resolve, reject) {
      arrived.set(number, resolve);
      const script = document.createElement("script");
      script.src = "cases/" + number + ".js";
      script.onerror = function () {
        reject(new Error("cases/" + number + ".js is missing: move the folder of the report as a whole"));
      };
      document.head.appendChild(script);
    });
  }

  function bundleOf(number) {
    if (!bundles.has(number)) {
      const element = document.getElementById("case-bundle");
      bundles.set(number, element ? unpack(element) : loadScript(number));
    }
    return bundles.get(number);
  }

  // ---- cases of the chosen cells

  const state = { group: 0, a: "", b: "", part: "", how: "", feature: "", more: "a", text: "", order: "selected" };

  function isOfPair(cell, a, b) {
    if (!a && !b) return true;
    if (!cell.a) return true;  // each case has its own names
    if (a && b) return (cell.a === a && cell.b === b) || (cell.a === b && cell.b === a);
    return cell.a === (a || b) || cell.b === (a || b);
  }

  function chosenCells() {
    return index.cells.filter(function (cell) {
      return cell.group === state.group && (!state.part || cell.part === state.part) && isOfPair(cell, state.a, state.b);
    });
  }

  // A case as the page shows it, seen from policy `a` where one is chosen.
  function sided(id, how, cell, bundle, place) {
    const entry = bundle.cases[place];
    const isSwapped = (state.a && entry.b.name === state.a && entry.a.name !== state.a) ||
                      (!state.a && state.b && entry.a.name === state.b && entry.b.name !== state.b);
    const side = function (from) {
      const hasText = from.text !== null;
      return { name: from.name, score: from.score, after: from.after, text: hasText ? bundle.texts[from.text] : null,
               features: hasText ? bundle.features[from.text] : null };
    };
    const vote = entry.vote === undefined ? null : isSwapped ? 1 - entry.vote : entry.vote;
    return { id: id, how: how, cell: cell, prompt_id: entry.prompt_id, sample: entry.sample || 0,
             prompt: entry.prompt === null ? null : bundle.texts[entry.prompt],
             a: side(isSwapped ? entry.b : entry.a), b: side(isSwapped ? entry.a : entry.b),
             vote: vote, judge: entry.judge || "", part: entry.part || cell.part };
  }

  async function casesOf(cells) {
    const all = [], seen = new Set();
    for (const cell of cells) {
      if (!cell.cases.length) continue;
      const bundle = await bundleOf(cell.bundle);
      for (const [id, place, how] of cell.cases) {
        if (seen.has(id)) continue;  // rows of an audit share cases
        seen.add(id);
        all.push(sided(id, how, cell, bundle, place));
      }
    }
    return all;
  }

  function difference(one) { return one.a.score - one.b.score; }
  function length(side) { return side.text === null ? 0 : side.text.length; }
  function feature(side, number) { return side.features ? side.features[number] : 0; }

  const ORDERS = {
    selected: ["as selected", null],
    difference: ["score difference, largest first", function (one) { return -Math.abs(difference(one)); }],
    a: ["score of the first, highest first", function (one) { return -one.a.score; }],
    b: ["score of the second, highest first", function (one) { return -one.b.score; }],
    longer: ["longer than the other by, most first", function (one) { return length(one.b) - length(one.a); }],
    shorter: ["shorter than the other by, most first", function (one) { return length(one.a) - length(one.b); }],
    prompt: ["prompt", function (one) { return (one.prompt || "").toLowerCase(); }],
  };

  function matches(one) {
    if (state.how && !(one.how & Number(state.how))) return false;
    if (state.a && state.a !== one.a.name) return false;
    if (state.b && state.b !== one.b.name) return false;
    if (state.feature !== "") {
      const a = feature(one.a, Number(state.feature)), b = feature(one.b, Number(state.feature));
      if (state.more === "a" ? !(a > b) : state.more === "b" ? !(b > a) : state.more === "equal" ? a !== b : !(a || b)) return false;
    }
    if (!state.text) return true;
    const wanted = state.text.toLowerCase();
    return [one.prompt, one.a.text, one.b.text, one.prompt_id, one.judge].some(function (text) {
      return text !== null && text.toLowerCase().includes(wanted);
    });
  }

  function ordered(cases) {
    const key = ORDERS[state.order][1];
    if (!key) return cases;
    return cases.map(function (one) { return [key(one), one]; })
        .sort(function (x, y) { return x[0] < y[0] ? -1 : x[0] > y[0] ? 1 : 0; })
        .map(function (entry) { return entry[1]; });
  }

  function winnerOf(a, b) { return a > b ? "a" : b > a ? "b" : "tie"; }
  function voteOf(one) { return one.vote === null ? null : winnerOf(one.vote, 1 - one.vote); }

  // What a copy of a case contains.
  function record(one) {
    const row = { id: one.id, number: index.groups[state.group].title, part: one.part, prompt_id: one.prompt_id, sample: one.sample, prompt: one.prompt };
    for (const side of ["a", "b"]) {
      const from = one[side];
      row["name_" + side] = from.name;
      row["score_" + side] = from.score;
      row["score_after_" + side] = from.after === undefined ? null : from.after;
      index.features.forEach(function (name, i) { row[name + "_" + side] = from.features ? from.features[i] : null; });
      row["response_" + side] = from.text;
    }
    row.vote = one.vote === null ? null : { a: "a", b: "b", tie: "tie" }[voteOf(one)];
    row.judge = one.judge;
    row.selected = one.how & LARGEST ? "largest difference" : "random draw";
    return row;
  }

  return { RANDOM: RANDOM, LARGEST: LARGEST, ORDERS: ORDERS, index: index, state: state, chosenCells: chosenCells, casesOf: casesOf,
           matches: matches, ordered: ordered, difference: difference, winnerOf: winnerOf, voteOf: voteOf, record: record };
})();
