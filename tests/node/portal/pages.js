// What the pages do, in no browser: on elements that keep what they are given, and a node and a wallet that answer as told.

import assert from "node:assert/strict";

class Element {
  constructor(tag) {
    Object.assign(this, { tag, children: [], listeners: {} });
  }
  append(...more) {
    this.children.push(...more);
  }
  replaceChildren(...more) {
    this.children = more;
  }
  addEventListener(name, listener) {
    this.listeners[name] = listener;
  }
  querySelector(tag) {
    return this.all(tag)[0];
  }
  all(tag) {
    return this.children.flatMap((child) => (child instanceof Element ? [...(child.tag === tag ? [child] : []), ...child.all(tag)] : []));
  }
  close() {
    this.listeners.close();
  }
  get textContent() {
    return this.children.map((child) => child.textContent ?? String(child)).join("");
  }
  dispatchEvent(event) {
    this.listeners[event.type]?.(event);
  }
  setAttribute() {}
  focus() {}
  remove() {}
  showModal() {}
}

const body = new Element("body");
Object.assign(globalThis, { Element, window: new Element("window"), document: { body, createElement: (tag) => new Element(tag) } });

const api = await import("./api.js");
const session = await import("./session.js");
const { asked, introduction } = await import("./nodes.js");
const { openPlan } = await import("./plan.js");
const wallet = await import("./wallet.js");

const settled = () => new Promise((done) => setTimeout(done, 5));
const step = (name, more = {}) => ({ function: name, to: "0x01", data: `0x${name}`, value: "0x0", gas: 1, line: { key: name, values: {} }, ...more });
const planOf = (...steps) => ({ steps, lines: [], obstacle: null, account: "0xaa", chain_id: 1, cost: { fee_max_wei: "1", gas: 1, coin_wei: "1" } });
const APPROVE = step("approve");
const VOTE = step("vote");

/** A plan's dialog with a wallet that signs; `plans` are what the node answers in turn. */
async function opened(plans, before = {}) {
  const signed = [];
  const request = async ({ method, params }) => {
    if (method === "eth_requestAccounts") return ["0xAA"];
    if (method === "eth_chainId") return "0x1";
    await before.signature?.();
    signed.push(params[0].data);
    return "0xhash";
  };
  await wallet.connect({ name: "w", provider: { request } });
  globalThis.fetch = async (path) => {
    const isPlan = path === "/api/plan";
    await before[isPlan ? "plan" : "block"]?.(signed.length);
    return { ok: true, json: async () => (isPlan ? plans.shift() : { state: "done", block: 7 }) };
  };
  openPlan({}, {}, () => {});
  const dialog = body.children.at(-1);
  await settled();
  const agree = async () => {
    dialog.all("button").find((button) => button.textContent === "plan.open").listeners.click();
    await settled();
  };
  return { dialog, signed, agree };
}

const cases = {
  async "steps that were agreed to are signed one after the other"() {
    const { dialog, signed, agree } = await opened([planOf(APPROVE, VOTE), planOf(VOTE)]);
    assert.deepEqual(signed, []);
    await agree();
    assert.deepEqual(signed, ["0xapprove", "0xvote"]);
    assert.match(dialog.textContent, /plan\.done/);
  },
  async "a step that has changed since is shown before it is signed"() {
    const others = ["function", "to", "data", "value"].map((name) => planOf({ ...VOTE, [name]: "0x02" }));
    for (const changed of [...others, planOf(VOTE, VOTE), planOf(APPROVE, VOTE)]) {
      const { dialog, signed, agree } = await opened([planOf(APPROVE, VOTE), changed, planOf(VOTE)]);
      await agree();
      assert.deepEqual(signed, ["0xapprove"]);
      assert.match(dialog.textContent, /plan\.changed/);
      await agree();
      assert.equal(signed[1], changed.steps[0].data);
    }
  },
  async "a dialog that was closed asks the wallet nothing more"() {
    for (const moment of ["block", "plan"]) {
      let shown = null;
      const close = (count) => count === 1 && shown.dialog.close();
      shown = await opened([planOf(APPROVE, VOTE), planOf(VOTE)], { [moment]: close });
      await shown.agree();
      assert.deepEqual(shown.signed, ["0xapprove"], moment);
    }
    const late = await opened([planOf(APPROVE, VOTE)]);
    late.dialog.close();
    await late.agree();
    assert.deepEqual(late.signed, []);
  },
  async "events of an order come whole, however they are cut"() {
    const told = [{ event: "announced", words: "अ\n" }, { event: "done" }];
    const bytes = new TextEncoder().encode(`: hello\n\n${told.map((one) => `data: ${JSON.stringify(one)}\n\n`).join("")}data: {"cut`);
    for (const size of [1, 2, 3, 7, bytes.length]) {
      const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.slice(at * size, (at + 1) * size));
      globalThis.fetch = async () => ({ ok: true, body: ReadableStream.from(chunks) });
      const heard = [];
      await api.order({ name: "n" }, (event) => heard.push(event));
      assert.deepEqual(heard, told);
    }
    globalThis.fetch = async () => ({ ok: true, body: ReadableStream.from((async function* () { throw new Error("gone"); })()) });
    await assert.rejects(api.order({}, () => {}), { code: "silent" });
  },
  async "a session goes with each of its questions, and is forgotten when the node does not know it"() {
    const sent = [];
    const ended = [];
    window.addEventListener("cuckoo:session", ({ detail }) => ended.push(detail.code));
    globalThis.fetch = async (path, { headers, credentials }) => {
      sent.push([path, headers?.["x-cuckoo-session"], credentials]);
      return { ok: false, json: async () => ({ error: { code: "no_session" } }) };
    };
    session.keep("secret");
    await assert.rejects(api.ownNode(), { code: "no_session" });
    assert.equal(session.kept(), null);
    await assert.rejects(api.models(), { code: "no_session" });
    await assert.rejects(api.overview(), { code: "no_session" });
    assert.deepEqual(sent, [["/api/own", "secret", "omit"], ["/api/own/models", "", "omit"], ["/api/overview", undefined, "omit"]]);
    assert.deepEqual(ended, ["no_session"]);
  },
  async "the code of a link is taken out of the address before it is used"() {
    const shown = [];
    globalThis.history = { replaceState: (state, title, url) => shown.push(url) };
    globalThis.location = { hash: "#open=ab_C-1", pathname: "/" };
    assert.equal(session.takeCode(), "ab_C-1");
    assert.deepEqual(shown, ["/#/own"]);
    for (const hash of ["", "#/own", "#open=", "#open=a/b", "#x#open=a"]) {
      location.hash = hash;
      assert.equal(session.takeCode(), null);
    }
    assert.equal(shown.length, 1);
  },
  async "an order outlives its page until it is over, or was refused"() {
    const kept = new Map();
    const sessionStorage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value), removeItem: (key) => kept.delete(key) };
    Object.assign(globalThis, { sessionStorage });
    const { studio } = await import("./studio.js");
    const models = [{ name: "m", sizes: [[8, 8]], miners: 1, price_micro_cai: null }];
    const told = (...events) => async () => ({ ok: true, body: ReadableStream.from(events.map((event) => new TextEncoder().encode(`data: ${JSON.stringify(event)}\n\n`))) });
    const refused = (code) => async () => ({ ok: false, json: async () => ({ error: { code } }) });
    const announced = { event: "announced", task_id: "0x1", drawn: ["0x2"] };
    const preview = { event: "preview", units: 1, png: btoa("png") };
    const ask = async (answer) => {
      kept.clear();
      let made = 0;
      globalThis.fetch = answer;
      const { part, end } = studio(models, () => (made += 1));
      const [form] = part.all("form");
      for (const field of [...form.all("input"), ...form.all("select")]) field.value = "";
      form.all("textarea")[0].value = " a fox ";
      form.listeners.submit({ preventDefault() {} });
      await settled();
      end();
      return [made, kept.size, part.all("div").at(-1).textContent + part.all("p").map((one) => one.textContent).join()];
    };
    const [made, held, words] = await ask(told(announced, preview, { event: "done", task_id: "0x1" }));
    assert.deepEqual([made, held], [1, 0]);
    assert.match(words, /try\.done/);
    assert.deepEqual((await ask(told(announced, { event: "lost", code: "order" }))).slice(0, 2), [0, 0]);
    assert.deepEqual((await ask(refused("order"))).slice(0, 2), [0, 0]);
    for (const answer of [told(announced), refused("busy"), async () => Promise.reject(new Error("gone"))]) {
      const [none, one, said] = await ask(answer);
      assert.deepEqual([none, one], [0, 1]);
      assert.match(said, /try\.goes_on/);
    }
    // The page that comes back asks again under the same name, with the same wish.
    const again = JSON.parse(kept.get("cuckoo-order"));
    let body;
    globalThis.fetch = async (path, options) => {
      body = JSON.parse(options.body);
      return told({ event: "done", task_id: "0x1" })();
    };
    studio(models, () => {});
    await settled();
    assert.deepEqual(body, again);
    assert.match(again.name, /^[0-9a-f]{32}$/);
    assert.equal(again.prompt, "a fox");
    session.keep(null);
    delete globalThis.sessionStorage;
  },
  async "hostile introductions are shown as they are"() {
    const hostile = { toString: null, valueOf: 1 };
    for (const told of [{ name: hostile }, { models: hostile }, { models: [hostile] }, { models: ["a", 1] }, { url: hostile }, { name: 7 }, { name: null }]) {
      const text = JSON.stringify(told);
      assert.equal(introduction(text).map((part) => part.textContent).join(""), text);
    }
    const parts = introduction(JSON.stringify({ name: "n", url: "https://a.example", models: ["m", "k"] }));
    assert.deepEqual(parts.map((part) => part.textContent), ["n", "https://a.example/", "m, k"]);
  },
  async "a page that cannot be made says whose fault it is"() {
    console.error = () => {};
    const place = new Element("div");
    asked(place, async () => 1, () => assert.fail("broken"));
    await settled();
    assert.equal(place.textContent, "error.our_faultretry");
  },
};

for (const [name, test] of Object.entries(cases)) {
  await test().catch((error) => Promise.reject(Object.assign(error, { message: `${name}: ${error.message}` })));
  console.log(name);
}
