// From the reddest cell of the mismatch matrix to a pair of answers, in headless Chromium.
//   node click_path.mjs CHROMIUM REPORT.html [FOLDER_FOR_SCREENSHOTS]
// Prints what was found as one JSON object; a failed step ends it with status 1.
import { pathToFileURL } from "node:url";
import { Browser } from "./chromium.mjs";

const [executable, report, folder] = process.argv.slice(2);
const url = pathToFileURL(report).href;
const browser = await Browser.launch(executable);
const found = {};

function check(condition, what) {
  if (!condition) throw new Error("failed: " + what + "; so far " + JSON.stringify(found));
}

async function shots(page, name) {
  if (folder) await page.screenshot(`${folder}/${name}.png`);
}

const CELLS = `Array.from(document.querySelectorAll(".has-cases svg .mark-rect path")).filter((path) => path.__data__.datum.cases)`;
const REDDEST = `${CELLS}.reduce((a, b) => b.__data__.datum.mismatch > a.__data__.datum.mismatch ? b : a)`;

/// Clicks the reddest cell and opens the first case with the keyboard.
async function walk(page) {
  await page.open(url);
  await page.evaluate(`document.getElementById("mismatch").scrollIntoView()`);
  await page.until(`${CELLS}.length > 0`);
  const cell = await page.evaluate(`(({ policy, reference, mismatch }) => ({ policy, reference, mismatch }))(${REDDEST}.__data__.datum)`);
  await page.click(REDDEST);
  await page.until(`location.hash.startsWith("#cases=md") && document.querySelector(".case") && document.activeElement.tagName === "SUMMARY"`);
  await page.press("Enter");
  await page.until(`document.querySelectorAll(".case[open] .side pre.text").length === 2`);
  return cell;
}

try {
  const wide = await browser.page();
  found.cell = await walk(wide);
  found.names = await wide.evaluate(`Array.from(document.querySelectorAll(".case[open] .side h4"), (name) => name.firstChild.textContent)`);
  check(found.names[0] === found.cell.policy && found.names[1] === found.cell.reference, "the sides are the cell's policies");
  found.texts = await wide.evaluate(`Array.from(document.querySelectorAll(".case[open] .side pre.text"), (text) => text.textContent)`);
  found.prompt = await wide.evaluate(`document.querySelector(".case[open] pre.prompt").textContent`);
  found.facts = await wide.evaluate(`document.querySelector(".case[open] .side .facts").textContent`);
  await shots(wide, "case-1200-light");

  // Texts are texts: the markup in them has made no elements and run no scripts.
  check(await wide.evaluate(`window.markupRan === undefined && !document.querySelector(".case img, .case script, .case b:not([class])")`), "texts stay texts");

  // A link to the case opens it in a new page.
  const link = await wide.evaluate(`document.querySelector('.case[open] a[href^="#case="]').getAttribute("href")`);
  const linked = await browser.page();
  await linked.open(url + link);
  await linked.until(`document.querySelectorAll(".case[open] .side pre.text").length === 2`);
  check(await linked.evaluate(`document.querySelector(".case[open] pre.prompt").textContent`) === found.prompt, "the link leads to the same case");
  found.errors = linked.errors;

  // j and Escape move and close; the search finds what it is asked for.
  await wide.press("Escape");
  check(await wide.evaluate(`!document.querySelector(".case[open]")`), "Escape closes the case");
  await wide.press("j");
  check(await wide.evaluate(`document.activeElement.closest(".case") === document.querySelectorAll(".case")[1]`), "j goes to the next case");
  await wide.press("/");
  const word = found.texts[0].trim().split(/\s+/)[0];
  await wide.type(word);
  // In the page, whose own timer for the search comes before this one even on a busy machine.
  await wide.evaluate(`new Promise((resolve) => setTimeout(resolve, 400))`);
  await wide.until(`location.hash.startsWith("#cases=md") && document.querySelectorAll(".case").length > 0`);
  found.num_found = await wide.evaluate(`document.querySelectorAll(".case").length`);
  check(found.num_found > 0, "the search finds a word of a text");

  // Copies.
  await browser.send("Browser.grantPermissions", { permissions: ["clipboardReadWrite", "clipboardSanitizedWrite"] });
  await wide.click(`Array.from(document.querySelectorAll("#case-browser .tools button")).find((button) => button.textContent === "Copy JSON")`);
  await wide.until(`Array.from(document.querySelectorAll("#case-browser .tools button")).some((button) => button.textContent.startsWith("Copied"))`);
  const copied = JSON.parse(await wide.evaluate(`navigator.clipboard.readText()`));
  check(copied.length === found.num_found && copied[0].response_a.length > 0, "the copy has the shown cases");
  found.copied = Object.keys(copied[0]);

  // Every table sorts: the table of all pairs by its last column.
  found.sorted = await wide.evaluate(`(() => {
    const table = Array.from(document.querySelectorAll("#mismatch table")).find((one) => one.tBodies[0].rows.length > 1);
    table.closest("details").open = true;
    const last = table.tHead.rows[0].cells.length - 1;
    table.tHead.rows[0].cells[last].querySelector("button").click();
    return Array.from(table.tBodies[0].rows, (row) => parseFloat(row.cells[last].textContent.replace("−", "-")));
  })()`);
  check(found.sorted.every((value, i, all) => i === 0 || all[i - 1] >= value), "the table is sorted");

  for (const [name, options] of [["390-light", { width: 390, height: 844 }], ["390-dark", { width: 390, height: 844, isDark: true }], ["1200-dark", { isDark: true }]]) {
    const page = await browser.page(options);
    await walk(page);
    const width = await page.evaluate(`document.documentElement.scrollWidth`);
    check(width <= (options.width ?? 1200), name + ": the page is as wide as the screen, not " + width);
    await shots(page, "case-" + name);
    found.errors.push(...page.errors);
  }
  found.errors.push(...wide.errors);
  check(found.errors.length === 0, "no exceptions: " + found.errors.join("; "));
  console.log(JSON.stringify(found));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await browser.close();
}
