// One task, and its draw, made again in the page from the chain's stakes and seed.

import * as api from "./api.js";
import { el, facts } from "./dom.js";
import * as format from "./format.js";
import { address, pieces, t } from "./i18n.js";
import { asked } from "./nodes.js";
import { cell } from "./overview.js";

/** @param {Element} place @param {string} hex - id of the task, with 0x */
export function taskPage(place, hex) {
  const content = el("div");
  place.append(el("h1", {}, t("task.title")), el("p.address-title", {}, el("code", {}, hex)), content);
  return asked(content, () => api.task(hex), (task) => [about(task), check(task)]);
}

function about(task) {
  return facts([
    [t("task.coordinator"), address(task.coordinator)],
    [t("task.epoch"), t("task.place", task)],
    [t("task.announced"), format.time(Math.floor(task.announced_at_ms / 1000))],
    [t("task.price"), format.weight(task.price_micro_cai)],
    [t("task.done"), task.done.length ? task.done.map((node) => el("div", {}, address(node))) : t("task.nobody")],
  ]);
}

/** The draw of a task, and how it was checked; whole once it is. */
function check(task) {
  const content = el("div");
  asked(content, async () => drawn(task), (again) => result(task.ranking, again));
  return el("section", {}, el("h2", {}, t("check.title")), el("p", {}, t("check.intro")), content);
}

/** The addresses that the draw puts at the places of a task, with 0x, computed here. */
async function drawn(task) {
  const [epoch, { fromHex }, { ranking, taskSeed }] = await Promise.all([api.epoch(task.epoch), import("./checks/bytes.js"), import("./checks/draw.js")]);
  const miners = epoch.miners.map(([miner, weight]) => ({ address: miner, weight: BigInt(weight) }));
  return ranking(miners, taskSeed(fromHex(epoch.seed), fromHex(task.coordinator), task.number), task.ranking.length);
}

/** Whether the draw says the same as the announcement, and the places of both. */
function result(announced, again) {
  const fits = announced.length === again.length && announced.every(({ miner }, at) => miner === again[at]);
  const words = t(fits ? "check.fits" : "check.differs", { count: announced.length });
  return [el(fits ? "p.fits" : "p.problem", { role: "status" }, words), places(announced, again)];
}

/**
 * Who was drawn, what the coordinator made of each, and who is drawn here.
 * @param {{miner: string, passed_over: number}[]} announced
 * @param {string[]} again
 */
function places(announced, again) {
  const head = ["check.rank", "draw.miner", "check.made", "check.here"].map((key) => el("th", { scope: "col" }, t(key)));
  const here = (miner, drawn) => (miner === drawn ? t("check.same") : drawn ? pieces("check.other", { node: drawn }) : t("check.none"));
  const rows = announced.map(({ miner, passed_over: reason }, at) =>
    el(
      "tr",
      {},
      cell("check.rank", format.number(at + 1)),
      cell("draw.miner", address(miner)),
      cell("check.made", t(`passed.${reason}`)),
      cell("check.here", here(miner, again[at])),
    ),
  );
  return el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
}
