// How fast a report opens and how smoothly its cases scroll, in headless Chromium.
//   node bench/report_speed.mjs CHROMIUM REPORT.html [TRACE.json]
// JSON on stdout: medians over the runs; times in ms.
import { pathToFileURL } from "node:url";
import { statSync, writeFileSync } from "node:fs";
import { Browser } from "../tests/browser/chromium.mjs";

const RUNS = 5;
const [executable, report, trace] = process.argv.slice(2);
const url = pathToFileURL(report).href;
const browser = await Browser.launch(executable);

function median(values) { return values.sort((a, b) => a - b)[Math.floor(values.length / 2)]; }

/// Navigation to the first paint, to the end of loading, and to the cases of a link.
async function opening() {
  const page = await browser.page();
  await page.open(url);
  const open = await page.evaluate(`(() => { const timing = performance.getEntriesByType("navigation")[0];
    return { first_paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime, loaded: timing.loadEventEnd }; })()`);
  const link = await page.evaluate(`"#case=" + JSON.parse(document.getElementById("case-index").textContent).cells.at(-1).cases[0][0]`);
  const linked = await browser.page();
  await linked.open(url + link);
  await linked.until(`document.querySelector(".case[open] .case-body")`);
  open.case_of_a_link = await linked.evaluate(`performance.now()`);
  return open;
}

/// Scrolls through the cases of all cells with the mouse wheel: longest frame, tasks over 50 ms, and from the trace the longest
/// event in CPU time of its thread, which other load on the machine does not lengthen.
async function scrolling() {
  const page = await browser.page();
  await page.open(url);
  await page.evaluate(`(() => { const index = JSON.parse(document.getElementById("case-index").textContent);
    location.hash = "#cases=" + encodeURIComponent(index.groups[0].key); })()`);
  await page.until(`document.querySelector(".case")`);
  await new Promise((resolve) => setTimeout(resolve, 3000));  // the charts above are drawn while idle
  await page.send("Tracing.start", { transferMode: "ReportEvents", categories: "devtools.timeline" });
  const events = [];
  browser.listeners.push((message) => message.method === "Tracing.dataCollected" && events.push(...message.params.value));
  await page.evaluate(`window.gaps = []; window.tasks = [];
    new PerformanceObserver((list) => tasks.push(...list.getEntries().map((task) => task.duration))).observe({ type: "longtask" });
    (function frame(last) { requestAnimationFrame((now) => { gaps.push(now - last); frame(now); }); })(performance.now());`);
  let ticks = 0;
  for (; ticks < 400; ++ticks) {
    await page.send("Input.dispatchMouseEvent", { type: "mouseWheel", x: 600, y: 500, deltaX: 0, deltaY: 400 });
    if (await page.evaluate(`innerHeight + scrollY >= document.documentElement.scrollHeight - 2`)) break;
  }
  const found = await page.evaluate(`({ cases: document.querySelectorAll(".case").length, longest_frame: Math.max(...gaps),
    frames_over_50: gaps.filter((gap) => gap > 50).length, frames: gaps.length, tasks_over_50: tasks.length, longest_task: Math.max(0, ...tasks) })`);
  const complete = browser.event("Tracing.tracingComplete");
  await page.send("Tracing.end");
  await complete;
  if (trace) writeFileSync(trace, JSON.stringify({ traceEvents: events }));
  const cpu = events.filter((event) => event.ph === "X" && event.tdur && !/BACKGROUND/.test(event.name)).map((event) => event.tdur / 1000);
  return { ...found, longest_event_cpu: Math.max(...cpu), wheel_ticks: ticks };
}

try {
  const opened = [];
  for (let run = 0; run < RUNS; ++run) opened.push(await opening());
  const times = Object.fromEntries(Object.keys(opened[0]).map((name) => [name, median(opened.map((one) => one[name]))]));
  console.log(JSON.stringify({ file_bytes: statSync(report).size, ...times, scrolling: await scrolling() }, null, 1));
} finally {
  await browser.close();
}
