// Drives headless Chromium over its debugging pipe (Chrome DevTools Protocol); needs node alone.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const TIMEOUT_MS = 30000;

export class Browser {
  /// @param executable  path of chromium
  static async launch(executable) {
    const browser = new Browser();
    browser.profile = mkdtempSync(join(tmpdir(), "charm-browser-"));
    browser.process = spawn(executable, [
      "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
      "--remote-debugging-pipe", "--user-data-dir=" + browser.profile, "about:blank",
    ], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    browser.waiting = new Map();
    browser.listeners = [];
    browser.nextId = 1;
    let received = "";
    browser.process.stdio[4].setEncoding("utf8");
    browser.process.stdio[4].on("data", (data) => {
      received += data;
      const messages = received.split("\0");
      received = messages.pop();
      for (const message of messages) browser.receive(JSON.parse(message));
    });
    return browser;
  }

  receive(message) {
    if (message.id) {
      const { resolve, reject, method } = this.waiting.get(message.id);
      this.waiting.delete(message.id);
      message.error ? reject(new Error(method + ": " + message.error.message)) : resolve(message.result);
      return;
    }
    for (const listener of [...this.listeners]) listener(message);
  }

  send(method, params = {}, sessionId = undefined) {
    const id = this.nextId++;
    this.process.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + "\0");
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, method });
      setTimeout(() => this.waiting.delete(id) && reject(new Error(method + ": no answer")), TIMEOUT_MS).unref();
    });
  }

  /// Resolves with the next event of this name.
  event(name) {
    return new Promise((resolve) => {
      const listener = (message) => {
        if (message.method !== name) return;
        this.listeners.splice(this.listeners.indexOf(listener), 1);
        resolve(message.params);
      };
      this.listeners.push(listener);
    });
  }

  /// @param options  width, height, isDark
  async page({ width = 1200, height = 900, isDark = false } = {}) {
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(this, sessionId);
    await page.send("Page.enable");
    await page.send("Runtime.enable");
    this.listeners.push((message) => {
      if (message.method === "Runtime.exceptionThrown" && message.sessionId === sessionId) {
        const details = message.params.exceptionDetails;
        page.errors.push(details.exception?.description ?? details.text);
      }
    });
    await page.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 600 });
    await page.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: isDark ? "dark" : "light" }] });
    return page;
  }

  async close() {
    const closed = new Promise((resolve) => this.process.once("exit", resolve));
    await this.send("Browser.close").catch(() => this.process.kill());
    await closed;
    rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

class Page {
  constructor(browser, sessionId) {
    this.browser = browser;
    this.sessionId = sessionId;
    this.errors = [];  // exceptions of the page's scripts
  }

  send(method, params = {}) { return this.browser.send(method, params, this.sessionId); }

  async open(url) {
    const loaded = this.browser.event("Page.loadEventFired");
    await this.send("Page.navigate", { url });
    await loaded;
  }

  /// Value of an expression in the page; promises are awaited.
  async evaluate(expression) {
    const answer = await this.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true, userGesture: true });
    if (answer.exceptionDetails) {
      throw new Error(expression + ": " + (answer.exceptionDetails.exception?.description ?? answer.exceptionDetails.text));
    }
    return answer.result.value;
  }

  /// Waits until an expression is true.
  async until(expression) {
    const end = Date.now() + TIMEOUT_MS;
    while (!(await this.evaluate("Boolean(" + expression + ")"))) {
      if (Date.now() > end) throw new Error("not true after " + TIMEOUT_MS / 1000 + " s: " + expression);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /// Clicks in the middle of the element that an expression gives.
  async click(expression) {
    const place = await this.evaluate(`(() => { const element = ${expression}; element.scrollIntoView({ block: "center" });
      const box = element.getBoundingClientRect(); return { x: box.x + box.width / 2, y: box.y + box.height / 2 }; })()`);
    for (const type of ["mouseMoved", "mousePressed", "mouseReleased"]) {
      await this.send("Input.dispatchMouseEvent", { type, ...place, button: type === "mouseMoved" ? "none" : "left", clickCount: 1 });
    }
  }

  async press(key) {
    const codes = { Enter: ["Enter", 13, "\r"], Escape: ["Escape", 27, ""], Tab: ["Tab", 9, ""] };
    const [code, windowsVirtualKeyCode, text] = codes[key] ?? ["Key" + key.toUpperCase(), key.toUpperCase().charCodeAt(0), key];
    await this.send("Input.dispatchKeyEvent", { type: "keyDown", key, code, windowsVirtualKeyCode, text });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", key, code, windowsVirtualKeyCode });
  }

  async type(text) { await this.send("Input.insertText", { text }); }

  async screenshot(path) {
    const { data } = await this.send("Page.captureScreenshot", { format: "png" });
    writeFileSync(path, Buffer.from(data, "base64"));
  }
}
