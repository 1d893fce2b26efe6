// The frame around every page: header, banners, footer, and which page is shown.

import * as api from "./api.js";
import { el } from "./dom.js";
import { language, loadWords, pieces, setLanguage, t } from "./i18n.js";
import { accountPage } from "./account.js";
import { nodePage, nodesPage } from "./nodes.js";
import { overviewPage } from "./overview.js";
import { ownPage } from "./own.js";
import * as session from "./session.js";
import { stakePage } from "./stake.js";
import { taskPage } from "./task.js";
import * as wallet from "./wallet.js";

const REFRESH_MS = 5_000;
const OLD_BLOCK_S = 120;
const HASH = /^0x[0-9a-fA-F]{64}$/;
const ADDRESS = /^0x[0-9a-fA-F]{40}$/;

const app = document.getElementById("app");
const main = el("main", { id: "content", tabindex: "-1" });
const banners = el("div.banners", { role: "status", "aria-live": "polite" });
const state = { network: null, overview: null, at: 0, silent: false, end: null, page: null, problem: null };

/** The page that the address names: its name for the navigation, and what makes it. */
function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, argument = ""] = path.split("/");
  const options = new URLSearchParams(query);
  if (name === "stake") return ["stake", (place) => stakePage(place, state, options)];
  if (name === "nodes") return ["nodes", (place) => nodesPage(place, state, argument, options)];
  if (name === "node" && ADDRESS.test(argument)) return ["nodes", (place) => nodePage(place, state, argument.toLowerCase())];
  if (name === "address" && ADDRESS.test(argument)) return ["nodes", (place) => accountPage(place, state, argument.toLowerCase())];
  if (name === "task" && HASH.test(argument)) return ["overview", (place) => taskPage(place, argument.toLowerCase())];
  if (name === "own") return ["own", (place) => ownPage(place, state)];
  return ["overview", (place) => overviewPage(place, state)];
}

/** Show the page of the address, anew. @param {boolean} moved - whether the reader has gone there */
export function show(moved = false) {
  state.end?.();
  const [name, make] = route();
  state.page = name;
  state.end = null;
  app.replaceChildren(el("a.skip", { href: "#content", onclick: skip }, t("skip")), header(name), banners, main, footer());
  const place = el("div.page");
  main.replaceChildren(place);
  document.title = `${t(`nav.${name}`)} · ${t("title")}`;
  state.end = make(place) ?? null;
  showBanners();
  if (moved) {
    window.scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
}

function skip(event) {
  event.preventDefault();
  main.focus();
}

function header(current) {
  const link = (name, href) => el("a", { href, "aria-current": name === current && "page" }, t(`nav.${name}`));
  const choice = el("select", { "aria-label": t("language"), onchange: (event) => speak(event.target.value) });
  for (const [code, name] of [["en", "English"], ["hi", "हिन्दी"]]) {
    choice.append(el("option", { value: code, lang: code, selected: code === language }, name));
  }
  return el(
    "header",
    {},
    el("a.brand", { href: "#/" }, el("img", { src: "/icon.svg", alt: "", width: 28, height: 28 }), t("brand")),
    el("nav", { "aria-label": t("nav.label") }, link("overview", "#/"), link("stake", "#/stake"), link("nodes", "#/nodes/miner"), session.kept() === null ? null : link("own", "#/own")),
    choice,
  );
}

function speak(code) {
  setLanguage(code);
  show();
}

function footer() {
  if (!state.network) return el("footer");
  const { node, contracts, name, chain_id } = state.network;
  return el(
    "footer",
    {},
    el("p", {}, pieces("footer.node", node)),
    el("p", {}, pieces("footer.network", { name, chain_id })),
    el("p", {}, t("footer.cai"), " ", el("code", {}, contracts.cai)),
    el("p", {}, t("footer.staking"), " ", el("code", {}, contracts.staking)),
  );
}

function showBanners() {
  const shown = [];
  const { overview, network, silent, at } = state;
  if (silent) shown.push(el("p.banner.bad", {}, pieces("banner.silent", { at_s: Math.round(at / 1000) })));
  if (overview && !silent) {
    const { fault, head_time_s } = overview.chain;
    const age = Math.round(overview.now_ms / 1000) - head_time_s;
    if (fault) shown.push(el("p.banner.bad", {}, pieces(`banner.${fault}`)));
    else if (age > OLD_BLOCK_S) shown.push(el("p.banner.bad", {}, pieces("banner.old", { age })));
  }
  const wrong = network && wallet.connected && wallet.connected.chainId !== network.chain_id;
  if (wrong) {
    const values = { chain: wallet.connected.chainId, wanted: network.chain_id };
    const failed = el("span");
    const change = async () => {
      try {
        await wallet.switchChain(network);
      } catch (error) {
        failed.replaceChildren(" ", ...pieces(...wallet.wordsFor(error)));
      }
    };
    shown.push(el("p.banner", {}, pieces("banner.chain", values), " ", el("button", { type: "button", onclick: change }, t("banner.switch", values)), failed));
  }
  // Said again only when it has changed, or a screen reader would repeat it without end.
  if (shown.map((node) => node.textContent).join() !== [...banners.children].map((node) => node.textContent).join()) banners.replaceChildren(...shown);
}

/** Ask the node how things are, again and again, while the page is seen. */
async function watch() {
  for (;;) {
    try {
      state.overview = await api.overview();
      state.at = Date.now();
      state.silent = false;
      if (!state.network) {
        state.network = await api.network();
        show();
      }
    } catch (error) {
      // Busy or a chain that is silent for a moment: the node is there.
      state.silent = error.code === "silent";
      if (error.code === "chain" && state.overview) state.overview.chain.fault = "unreachable";
    }
    showBanners();
    window.dispatchEvent(new Event("cuckoo:overview"));
    await new Promise((done) => setTimeout(done, REFRESH_MS));
    while (document.hidden) await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
  }
}

/** Begin a session, if the address brings the code of one. */
async function open() {
  const code = session.takeCode();
  if (code === null) return false;
  state.problem = null;
  try {
    await api.openSession(code);
  } catch (error) {
    state.problem = error;
  }
  return true;
}

async function move() {
  if (location.hash === "#content") return;
  show(!(await open()));
}

async function begin() {
  await Promise.all([loadWords(), open()]);
  show();
  window.addEventListener("hashchange", move);
  window.addEventListener("cuckoo:session", ({ detail }) => {
    state.problem = detail ?? null;
    show();
  });
  wallet.onChange(() => (state.page === "stake" ? show() : showBanners()));
  wallet.look();
  await watch();
}

begin();
