// This node's own pictures: shown, taken along with their receipts, checked in the page, and deleted.

import * as api from "./api.js";
import { el, facts } from "./dom.js";
import * as format from "./format.js";
import { address, pieces, t, taskLink } from "./i18n.js";
import { asked } from "./nodes.js";

/** @returns {{part: Element, renew: () => void, end: () => void}} */
export function gallery() {
  const content = el("div");
  const urls = new Set();
  let offset = 0;
  let end = null;
  const forget = () => {
    for (const url of urls) URL.revokeObjectURL(url);
    urls.clear();
  };
  const show = (at) => {
    offset = at;
    end?.();
    forget();
    end = asked(content, () => api.pictures(offset), (found) => [
      found.pictures.length ? el("div.gallery", {}, found.pictures.map((picture) => card(picture, urls, () => show(offset)))) : el("p.quiet", {}, t("gallery.empty")),
      turning(found, show),
    ]);
  };
  show(0);
  const leave = () => {
    end?.();
    forget();
  };
  const part = el("section", { id: "gallery" }, el("h2", {}, t("gallery.title")), el("p.quiet", {}, t("gallery.intro")), content);
  return { part, renew: () => show(0), end: leave };
}

function turning({ offset, page, more }, show) {
  const turn = (key, at) => el("button", { type: "button", onclick: () => show(at) }, t(key));
  const buttons = [offset > 0 ? turn("page.earlier", Math.max(0, offset - page)) : null, more ? turn("page.later", offset + page) : null].filter(Boolean);
  return buttons.length ? [el("div.actions", {}, buttons)] : [];
}

function card(picture, urls, renew) {
  const { task_id: id, width, height, at_ms: at } = picture;
  const when = format.time(Math.floor(at / 1000));
  const frame = el("div.frame");
  const told = el("div", { role: "status" });
  const file = { blob: null };
  load();
  async function load() {
    try {
      file.blob = await api.picture(id);
      const url = URL.createObjectURL(file.blob);
      urls.add(url);
      frame.replaceChildren(el("img", { src: url, width, height, alt: t("gallery.picture", { at: Math.floor(at / 1000) }) }), el("a.button", { href: url, download: `cuckoo-${id.slice(2, 10)}.png` }, t("gallery.save")));
    } catch (error) {
      frame.replaceChildren(el("p.quiet", {}, error.code === "no_picture" ? t("gallery.gone") : error.words()));
    }
  }
  const say = (work) => async () => {
    try {
      await work();
    } catch (error) {
      const words = error instanceof api.ApiError ? error.words() : pieces("error.our_fault");
      if (!(error instanceof api.ApiError)) console.error(error);
      told.replaceChildren(el("p.problem", { role: "alert" }, words));
    }
  };
  const check = say(async () => told.replaceChildren(...(await checked(id, file.blob))));
  const take = say(async () => save(await api.receipt(id), `cuckoo-${id.slice(2, 10)}-receipt.json`));
  return el(
    "article.card",
    { "aria-label": when },
    frame,
    facts([
      [t("gallery.made"), when],
      [t("gallery.cost"), format.weight(picture.price_micro_cai)],
      [t("draw.miner"), address(picture.miner)],
      [t("task.title"), taskLink(id)],
    ]),
    el("div.actions", {}, button("gallery.check", check), button("gallery.receipt", take), deleting(say(async () => {
      await api.deletePicture(id);
      renew();
    }))),
    told,
  );
}

function button(key, work) {
  return el("button", { type: "button", onclick: work }, t(key));
}

/** A button that asks once more. */
function deleting(work) {
  let asked_once = false;
  const node = button("gallery.delete", () => {
    if (asked_once) return work();
    asked_once = true;
    node.replaceChildren(t("gallery.sure"));
    return undefined;
  });
  node.addEventListener("blur", () => {
    asked_once = false;
    node.replaceChildren(t("gallery.delete"));
  });
  return node;
}

function save(document_, name) {
  const url = URL.createObjectURL(new Blob([JSON.stringify(document_)], { type: "application/json" }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A receipt checked here, and its stakes and seed held against the chain's, as this node reads them. */
async function checked(id, blob) {
  const [receipt, { verify }] = await Promise.all([api.receipt(id), import("./checks/receipt.js")]);
  const bytes = blob && new Uint8Array(await blob.arrayBuffer());
  let proved;
  try {
    proved = verify(receipt, bytes);
    if (proved.taskId !== id) throw { code: "task" };
  } catch (error) {
    return [el("p.problem", { role: "alert" }, t("receipt.false"), " ", t(`bad.${error.code}`))];
  }
  const chain = await chainSays(receipt.epoch);
  return [
    el("p.fits", {}, t(bytes ? "receipt.holds" : "receipt.holds_alone")),
    el(chain === "receipt.differs" ? "p.problem" : "p", {}, t(chain)),
    facts([
      [t("task.coordinator"), address(proved.coordinator)],
      [t("task.price"), format.weight(proved.priceMicroCai)],
      [t("receipt.drawn"), el("ol", {}, proved.ranking.map(([miner, reason]) => el("li", {}, address(miner), el("br"), t(`passed.${reason}`))))],
    ]),
  ];
}

async function chainSays({ number, seed, miners }) {
  let known;
  try {
    known = await api.epoch(number);
  } catch (error) {
    return error.code === "unknown_epoch" ? "receipt.old" : "receipt.unasked";
  }
  const stakes = miners.map((miner) => [`0x${miner.address}`, miner.weight_micro_cai]);
  return known.seed === `0x${seed}` && JSON.stringify(known.miners) === JSON.stringify(stakes) ? "receipt.chain" : "receipt.differs";
}
