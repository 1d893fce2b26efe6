// A prompt tried: asked for, watched as it sharpens, and gone on with when the page comes back.

import * as api from "./api.js";
import { el, field } from "./dom.js";
import { address, pieces, t } from "./i18n.js";
import * as session from "./session.js";

const PROMPT_MAX = 1_000;
const SEED_MAX = 2 ** 53 - 1;

/**
 * The form, and the order that this tab has under way.
 * @param {object[]} models - that can be asked for, as the node lists them
 * @param {() => void} made - called when there is a new picture
 * @returns {{part: Element, end: () => void}} `end` stops watching; the order goes on
 */
export function studio(models, made) {
  const scene = el("div.scene", { role: "status", "aria-live": "polite" });
  const work = { scene, made, watching: null, url: null };
  const part = el("section.card", { id: "try" }, el("h2", {}, t("try.title")), el("p", {}, t("try.intro")), form(models, work), scene);
  const pending = session.order();
  if (pending) watch(work, pending);
  return { part, end: () => leave(work) };
}

function form(models, work) {
  if (!models.length) return el("p.problem", { role: "status" }, t("try.nobody"));
  const prompt = el("textarea", { name: "prompt", rows: 3, required: true, maxlength: PROMPT_MAX, dir: "auto" });
  const negative = el("input", { name: "negative_prompt", maxlength: PROMPT_MAX, dir: "auto", autocomplete: "off" });
  const seed = el("input", { name: "seed", inputmode: "numeric", pattern: "[0-9]{1,15}", autocomplete: "off" });
  const model = el("select", { name: "model" }, models.map(choice));
  const ask = (event) => {
    event.preventDefault();
    const wish = { prompt: prompt.value.trim(), negative_prompt: negative.value.trim(), model: model.value };
    if (seed.value) wish.seed = Math.min(Number(seed.value), SEED_MAX);
    watch(work, { name: newName(), ...wish });
  };
  return el(
    "form",
    { onsubmit: ask },
    field(t("try.prompt"), prompt),
    field(t("try.model"), model),
    el("details", {}, el("summary", {}, t("try.more")), field(t("try.negative"), negative), field(t("try.seed"), seed, t("try.seed_hint"))),
    el("button.primary", { type: "submit" }, t("try.make")),
  );
}

function choice({ name, sizes, miners, price_micro_cai: price }) {
  const [width, height] = sizes[0];
  const values = { name, width, height, miners, price };
  return el("option", { value: name }, t(price === null ? "try.unpriced" : "try.choice", values));
}

/** 128 random bits: asked for again under it, an order is found and not made anew. */
function newName() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function leave(work) {
  work.watching?.abort();
  work.watching = null;
  if (work.url) URL.revokeObjectURL(work.url);
  work.url = null;
}

/** Place an order, or find it again by its name, and show what becomes of it. */
async function watch(work, order) {
  leave(work);
  const watching = (work.watching = new AbortController());
  session.keepOrder(order);
  const view = viewOf(work, order);
  let over = false;
  try {
    await api.order(order, (event) => {
      over ||= event.event === "done" || event.event === "lost";
      show(work, view, event);
    }, watching.signal);
    if (!over) throw new api.ApiError("silent");
  } catch (error) {
    if (watching.signal.aborted) return;
    if (!(error instanceof api.ApiError)) console.error(error);
    // What the node refused was never taken. Whatever else happened, the order may go on without us.
    const refused = error instanceof api.ApiError && error.code !== "silent" && error.code !== "busy";
    if (refused) session.keepOrder(null);
    fail(work, error, refused ? null : () => watch(work, order));
  }
}

function viewOf(work, order) {
  const view = {
    picture: el("img.sharpening", { alt: t("try.preview"), hidden: true }),
    progress: el("progress", { max: 1, "aria-label": t("try.progress") }),
    words: el("p", {}, t("try.waiting")),
    drawn: el("div"),
  };
  const cancel = async () => {
    try {
      const { cancelled } = await api.cancelOrder(order.name);
      if (cancelled || work.watching === null) return;
      // It only waits for its turn: whoever watches no more has left the queue. It may have had it just then.
      leave(work);
      session.keepOrder(null);
      work.scene.replaceChildren();
      await api.cancelOrder(order.name);
    } catch (error) {
      view.words.replaceChildren(...error.words());
    }
  };
  view.cancel = el("button", { type: "button", onclick: cancel }, t("try.cancel"));
  work.scene.replaceChildren(view.picture, view.words, view.progress, view.drawn, el("div.actions", {}, view.cancel));
  return view;
}

function show(work, view, event) {
  const { progress, words } = view;
  switch (event.event) {
    case "announced":
      words.replaceChildren(...pieces("try.announced", event));
      view.drawn.replaceChildren(el("p.quiet", {}, t("try.drawn")), el("ol", {}, event.drawn.map((miner) => el("li", {}, address(miner)))));
      break;
    case "progress":
      progress.max = event.units_all;
      progress.value = event.units;
      words.replaceChildren(...pieces("try.step", event));
      break;
    case "preview":
      sharpen(work, view, event.png);
      break;
    case "failed_over":
      view.drawn.append(el("p.problem", {}, pieces("try.failed_over", event)));
      break;
    case "done":
      session.keepOrder(null);
      work.scene.replaceChildren(el("p.fits", {}, pieces("try.done", event)));
      work.made();
      break;
    default:
      session.keepOrder(null);
      fail(work, new api.ApiError(event.code, event), null);
  }
}

function sharpen(work, view, text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  if (work.url) URL.revokeObjectURL(work.url);
  work.url = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
  view.picture.src = work.url;
  view.picture.hidden = false;
}

function fail(work, error, again) {
  const words = error instanceof api.ApiError ? error.words() : pieces("error.our_fault");
  const parts = [el("p.problem", { role: "alert" }, words)];
  if (again) parts.push(el("p", {}, t("try.goes_on")), el("div.actions", {}, el("button", { type: "button", onclick: again }, t("retry"))));
  work.scene.replaceChildren(...parts);
}
