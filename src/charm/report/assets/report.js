// Draws every figure's Vega-Lite specification; again when the reader's colour scheme changes.
(function () {
  "use strict";
  const scheme = window.matchMedia("(prefers-color-scheme: dark)");

  function config(dark) {
    const text = dark ? "#c9ced6" : "#3a424b";
    const line = dark ? "#3a4048" : "#dfe3e8";
    return {
      background: "transparent",
      font: "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif",
      view: { stroke: line },
      axis: { labelColor: text, titleColor: text, gridColor: line, domainColor: line, tickColor: line,
              labelFontSize: 11, titleFontSize: 12, titleFontWeight: "normal" },
      header: { labelColor: text, titleColor: text, labelFontSize: 11 },
      legend: { labelColor: text, titleColor: text, labelFontSize: 12, labelLimit: 320 },
      text: { color: text },
      point: { color: dark ? "#56b4e9" : "#0072b2" },
      rect: { fill: dark ? "#56b4e9" : "#0072b2" },
      bar: { color: dark ? "#56b4e9" : "#0072b2" },
      // Okabe and Ito's colours: told apart by readers with any kind of colour vision.
      range: {
        category: ["#d55e00", dark ? "#56b4e9" : "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#999999"],
        // Pale in the middle in both schemes: the cells' own text is dark there and white at the ends.
        diverging: ["#2166ac", "#f4f4f2", "#d55e00"],
      },
      style: {
        guide: { stroke: text, strokeDash: [3, 3], strokeWidth: 1 },
        target: { color: dark ? "#f2f4f7" : "#111418", stroke: dark ? "#f2f4f7" : "#111418", thickness: 2, strokeWidth: 1.5 },
      },
    };
  }

  // On a narrow screen a single chart shrinks to the column instead of hiding behind a scroll bar; charts in strips keep
  // their size.
  function fit(spec, plot) {
    const room = plot.clientWidth;
    const single = typeof spec.width === "number" && !spec.facet && !spec.hconcat && !spec.vconcat;
    if (!single || room >= 900 || room < 50) return spec;
    spec.autosize = { type: "fit-x", contains: "padding" };
    spec.width = Math.max(260, Math.min(room - 2, 900));
    if (room >= 560) return spec;
    const narrow = { axisY: { labelLimit: Math.round(0.34 * room) }, axisX: { tickCount: 4 }, legend: { columns: 1 } };
    spec.config = Object.assign({}, narrow, spec.config);
    const shorten = function (part) {
      const y = part.encoding && part.encoding.y;
      if (y && y.axis && y.axis.labelLimit) y.axis.labelLimit = narrow.axisY.labelLimit;
      const x = part.encoding && part.encoding.x;
      if (x && x.axis && x.axis.tickCount) x.axis.tickCount = narrow.axisX.tickCount;
      const color = part.encoding && part.encoding.color;
      if (color && color.legend && color.legend.orient === "top") color.legend.columns = 1;
    };
    shorten(spec);
    (spec.layer || []).forEach(shorten);
    return spec;
  }

  // Vega-Lite does not place labels, Vega does: a text layer named "labels" gets Vega's label transform, which sets each
  // label beside its item of the layer "points", away from other points and labels, or hides it.
  function placeLabels(vega) {
    const labels = (vega.marks || []).find(function (mark) { return mark.name === "labels_marks"; });
    if (!labels) return vega;
    labels.from = { data: "points_marks" };
    const update = labels.encode.update;
    update.text = { signal: "datum.datum.policy" };
    update.x = { field: "x" };
    update.y = { field: "y" };
    labels.transform = [{ type: "label", size: { signal: "[width, height]" }, offset: [3],
                          anchor: ["right", "left", "top", "bottom"] }];
    return vega;
  }

  // A click on an item follows the link of its datum to the cases behind it.
  function followCases(figure, view) {
    view.addEventListener("click", function (event, item) {
      if (item && item.datum && item.datum.cases) location.hash = item.datum.cases;
    });
    figure.classList.toggle("has-cases", figure.querySelector("script").textContent.includes('"cases":"#'));
  }

  function draw(figure) {
    const plot = figure.querySelector(".plot");
    const spec = fit(JSON.parse(figure.querySelector("script").textContent), plot);
    return vegaEmbed(plot, spec, { mode: "vega-lite", actions: false, renderer: "svg", config: config(scheme.matches), patch: placeLabels })
      .then(function (result) { followCases(figure, result.view); })
      .catch(function (error) {
        console.error(error);
        plot.textContent = "This chart could not be drawn: " + error.message;
      });
  }

  // Charts in sight first; the others one by one while the browser is idle.
  const waiting = new Set();
  const idle = window.requestIdleCallback || function (callback) { setTimeout(callback, 50); };
  let isDrawing = false;
  function drawNow(figure) {
    if (waiting.delete(figure)) return draw(figure);
    return Promise.resolve();
  }
  function drawWaiting() {
    isDrawing = waiting.size > 0;
    if (!isDrawing) return;
    idle(function () {
      const next = waiting.values().next();
      (next.done ? Promise.resolve() : drawNow(next.value)).then(drawWaiting);
    });
  }
  const inSight = new IntersectionObserver(function (entries) {
    for (const entry of entries) {
      if (entry.isIntersecting) drawNow(entry.target);
    }
  }, { rootMargin: "300px" });

  function drawAll() {
    for (const figure of document.querySelectorAll("figure.chart")) {
      waiting.add(figure);
      inSight.unobserve(figure);  // so that it reports anew
      inSight.observe(figure);
    }
    if (!isDrawing) drawWaiting();
  }

  drawAll();
  scheme.addEventListener("change", drawAll);
  let width = document.documentElement.clientWidth;
  window.addEventListener("resize", function () {
    if (document.documentElement.clientWidth === width) return;
    width = document.documentElement.clientWidth;
    drawAll();
  });
})();
