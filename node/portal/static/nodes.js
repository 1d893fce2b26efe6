// The explorer: lists of nodes, and each node by its address.

import * as api from "./api.js";
import { el, facts } from "./dom.js";
import * as format from "./format.js";
import { address, pieces, stranger, t } from "./i18n.js";
import { cell } from "./overview.js";

const ROLES = ["miner", "coordinator"];

/** A page whose content comes from a question, with words for its failure and a way to ask again. */
export function asked(place, question, make) {
  let ended = false;
  const load = async () => {
    place.replaceChildren(el("p.quiet", {}, t("loading")));
    try {
      const answer = await question();
      if (!ended) place.replaceChildren(...make(answer).flat());
    } catch (error) {
      if (!(error instanceof api.ApiError)) console.error(error);
      const words = error instanceof api.ApiError ? error.words() : pieces("error.our_fault");
      if (!ended) place.replaceChildren(el("p.problem", { role: "alert" }, words), el("button", { type: "button", onclick: load }, t("retry")));
    }
  };
  load();
  return () => {
    ended = true;
  };
}

/** The form that goes to an address. */
export function searchForm() {
  const input = el("input", { name: "address", type: "search", autocomplete: "off", spellcheck: "false", placeholder: "0x…", "aria-label": t("nodes.search") });
  const problem = el("p.problem", { role: "alert", hidden: true }, t("error.bad_node"));
  const find = (event) => {
    event.preventDefault();
    const text = input.value.trim();
    problem.hidden = /^0x[0-9a-fA-F]{40}$/.test(text);
    input.setAttribute("aria-invalid", String(!problem.hidden));
    if (problem.hidden) location.hash = `#/node/${text}`;
  };
  return el("form.search", { onsubmit: find, role: "search" }, input, el("button", { type: "submit" }, t("nodes.find")), problem);
}

/** @param {string} role @param {URLSearchParams} options - with the offset */
export function nodesPage(place, state, role, options) {
  const chosen = ROLES.includes(role) ? role : "miner";
  const offset = Number.parseInt(options.get("offset") ?? "0", 10) || 0;
  const tabs = ROLES.map((name) => el("a", { href: `#/nodes/${name}`, "aria-current": name === chosen && "true" }, t(`nodes.${name}s`)));
  const list = el("div");
  place.append(el("h1", {}, t("nodes.title")), searchForm(), el("div.tabs", {}, tabs), list);
  return asked(list, () => api.nodes(chosen, offset), (found) => [
    el("p.quiet", {}, found.epoch === null ? t("nodes.no_epoch") : t("nodes.intro", found)),
    found.nodes.length ? table(found) : el("p", {}, t("nodes.empty")),
    pages(found, (at) => `#/nodes/${chosen}?offset=${at}`),
  ]);
}

function table(found) {
  const head = ["nodes.address", "nodes.owner", "nodes.stake", "nodes.share"].map((key) => el("th", { scope: "col" }, t(key)));
  const rows = found.nodes.map((item) =>
    el(
      "tr",
      {},
      cell("nodes.address", address(item.address)),
      cell("nodes.owner", address(item.owner, "address")),
      cell("nodes.stake", format.weight(item.weight)),
      cell("nodes.share", format.share(item.weight, found.weight)),
    ),
  );
  return el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
}

/** Links to the pages before and after, if there are any. */
export function pages({ total, offset, page }, href) {
  if (total <= page) return [];
  const values = { total, from: offset + 1, to: Math.min(total, offset + page) };
  return el(
    "nav.pages",
    { "aria-label": t("page.of", values) },
    offset > 0 ? el("a", { href: href(Math.max(0, offset - page)) }, t("page.earlier")) : null,
    el("span", {}, t("page.of", values)),
    offset + page < total ? el("a", { href: href(offset + page) }, t("page.later")) : null,
  );
}

/**
 * What an owner says of a node: by convention JSON with name and url, which are texts, and models, a list of
 * texts or one; anything else is shown as it is.
 */
export function introduction(text) {
  if (!text) return [el("span.quiet", {}, t("node.no_introduction"))];
  let told = null;
  try {
    told = JSON.parse(text);
  } catch {
    // Not of that form.
  }
  if (told === null || typeof told !== "object" || Array.isArray(told)) return [stranger(text)];
  const isText = (value) => typeof value === "string";
  const areTexts = Array.isArray(told.models) && told.models.every(isText);
  const known = [told.name, told.url, areTexts ? told.models.join() : told.models];
  if (!known.every((value) => value === undefined || isText(value))) return [stranger(text)];
  const url = format.safeUrl(told.url);
  const models = areTexts ? told.models.join(", ") : told.models;
  const parts = [];
  if (told.name) parts.push(el("div", {}, stranger(told.name)));
  if (url) parts.push(el("div", {}, el("a", { href: url, target: "_blank", rel: "noopener noreferrer nofollow", dir: "ltr" }, format.untrusted(url))));
  else if (told.url) parts.push(el("div", {}, stranger(told.url)));
  if (models) parts.push(el("div", {}, stranger(models)));
  return parts.length ? parts : [stranger(text)];
}

/** One node, by its address. */
export function nodePage(place, state, hex) {
  const content = el("div");
  place.append(el("h1", {}, t("node.title")), el("p.address-title", {}, el("code", {}, hex)), content);
  let ended = false;
  const end = asked(content, async () => {
    try {
      return await api.node(hex);
    } catch (error) {
      if (error.code === "not_registered" && !ended) return null;
      throw error;
    }
  }, (node) => (node === null ? notNode(hex) : details(node, state)));
  return () => {
    ended = true;
    end();
  };
}

function notNode(hex) {
  return [
    el("p", {}, pieces("node.as_account", { node: hex })),
    el("p", {}, el("a.button", { href: `#/address/${hex}` }, t("node.see_account"))),
    searchForm(),
  ];
}

function condition(node) {
  if (node.left) return t("node.left");
  if (node.jailed_until_s) return format.isForever(node.jailed_until_s) ? t("node.jailed_forever") : t("node.jailed", { until: node.jailed_until_s });
  return node.active ? t("node.active") : t("node.short", { minimum: node.minimum_own_stake_wei });
}

function details(node) {
  const votes = BigInt(node.total_stake_wei) - BigInt(node.own_stake_wei);
  const { now, next, next_from_s } = node.commission;
  const chance = node.role === "miner" && node.epoch !== null ? format.share(node.weight, node.miners_weight) : null;
  return [
    el("section.introduction", {}, el("h2", {}, t("node.introduction")), introduction(node.introduction)),
    facts([
      [t("node.role"), t(`role.${node.role}`)],
      [t("node.state"), condition(node)],
      [t("nodes.owner"), address(node.owner, "address")],
      [t("node.own"), format.cai(node.own_stake_wei)],
      [t("node.votes"), format.cai(votes)],
      [t("node.unbonding"), format.cai(node.unbonding_stake_wei)],
      node.epoch === null ? null : [t("node.weight", node), format.weight(node.weight)],
      [t("node.chance"), chance],
      [t("node.commission"), format.percent(now)],
    ]),
    next_from_s ? el("p.problem", {}, pieces("plan.commission_rises", { next_percent: next / 100, from_s: next_from_s })) : null,
    node.active ? el("p", {}, el("a.button.primary", { href: `#/stake?node=${node.address}` }, t("node.vote"))) : null,
  ].filter(Boolean);
}
