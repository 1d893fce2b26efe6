// Before the wallet opens: what will happen, what it costs, what can be lost and until when. Then one step after the
// other, each planned anew by the node when the one before it is in a block.

import * as api from "./api.js";
import { el, facts } from "./dom.js";
import * as format from "./format.js";
import { address, pieces, t } from "./i18n.js";
import * as wallet from "./wallet.js";

const LOOK_MS = 1_000;
const UNSEEN_MS = 20_000;
const WAIT_MS = 900_000;

/**
 * Show the plan for a wish in a dialog, and have it done if the reader wants.
 * @param {object} wish - as the node takes it
 * @param {object} network
 * @param {(block: number) => void} done - called when something that was sent is in a block, or is not waited for: 0
 */
export function openPlan(wish, network, done) {
  const body = el("div.plan");
  const dialog = el("dialog", { "aria-labelledby": "plan-title" }, el("h2", { id: "plan-title" }, t("plan.title")), body);
  const work = { wish, network, dialog, body, done, sent: false, closed: false, step: 1, count: 0, agreed: [] };
  dialog.addEventListener("close", () => {
    work.closed = true;
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
  prepare(work);
}

function say(work, key, values = {}, bad = false) {
  work.body.replaceChildren(el(bad ? "p.problem" : "p", { role: bad ? "alert" : "status" }, pieces(key, values)), closing(work, "close"));
}

function closing(work, key, ...before) {
  return el("div.actions", {}, before, el("button", { type: "button", onclick: () => work.dialog.close() }, t(key)));
}

async function prepare(work) {
  say(work, "plan.asking");
  let plan;
  try {
    plan = await api.plan(work.wish);
  } catch (error) {
    if (work.closed) return;
    const again = el("button", { type: "button", onclick: () => prepare(work) }, t("retry"));
    work.body.replaceChildren(el("p.problem", { role: "alert" }, error.words()), closing(work, "close", again));
    return;
  }
  if (work.closed) return;
  work.count = work.step - 1 + plan.steps.length;
  // The reader has agreed to these very steps; the next one goes to the wallet, which asks once more.
  if (work.sent && plan.obstacle === null && areAgreed(plan.steps, work.agreed)) sign(work, plan);
  else showPlan(work, plan);
}

/** Whether steps are what is left of those that the reader agreed to: the same calls, with the same bytes. */
function areAgreed(steps, agreed) {
  const same = (step, index) => ["function", "to", "data", "value"].every((name) => step[name] === agreed[index][name]);
  return steps.length === agreed.length && steps.every(same);
}

function showPlan(work, plan) {
  const lines = (sort) => plan.lines.filter((line) => line.sort === sort).map((line) => el("li", {}, pieces(`plan.${line.key}`, line.values)));
  const group = (sort) => (lines(sort).length ? [t(`plan.${sort}`), el("ul", {}, lines(sort))] : null);
  const steps = plan.steps.map((step) => el("li", {}, pieces(`plan.${step.line.key}`, step.line.values)));
  const { chain_id, cost } = plan;
  const places = [...new Set(plan.steps.map((step) => step.to))].map((to) => el("div", {}, pieces("plan.chain", { chain_id, to })));
  const agree = plan.obstacle === null ? el("button.primary", { type: "button", onclick: () => agreeTo(work, plan) }, t("plan.open")) : null;
  work.body.replaceChildren(
    ...[
      work.sent && plan.obstacle === null ? el("p.problem", { role: "alert" }, t("plan.changed")) : null,
      el("ol.does", {}, steps),
      plan.obstacle && el("p.problem", { role: "alert" }, el("strong", {}, t("plan.obstacle")), " ", api.refusal(plan.obstacle.name, plan.obstacle.arguments)),
      steps.length > 1 ? el("p.quiet", {}, t("plan.steps", { count: steps.length })) : null,
      facts([
        [t("plan.cost"), t("plan.fee", { fee: cost.fee_max_wei, gas: cost.gas, have: cost.coin_wei })],
        group("risk"),
        group("until"),
        group("note"),
        [t("plan.signs"), address(plan.account, "address")],
        [t("plan.on"), places],
      ]),
      el("details", {}, el("summary", {}, t("plan.raw")), plan.steps.map((step) => el("pre", { tabindex: "0" }, `${step.function} → ${step.to}\n${step.data}`))),
      closing(work, "cancel", agree),
    ].filter(Boolean),
  );
  (agree ?? work.body.querySelector("button")).focus();
}

function agreeTo(work, plan) {
  work.agreed = plan.steps;
  return sign(work, plan);
}

async function sign(work, plan) {
  if (work.closed) return undefined;
  const { connected } = wallet;
  if (connected?.account !== plan.account) return say(work, "wallet.other_account", {}, true);
  if (connected.chainId !== plan.chain_id) {
    return say(work, "banner.chain", { chain: connected.chainId, wanted: plan.chain_id }, true);
  }
  const values = { step: work.step, count: work.count };
  say(work, "plan.signing", values);
  let hash;
  try {
    hash = await wallet.send(plan, plan.steps[0]);
  } catch (error) {
    return say(work, ...wallet.wordsFor(error), true);
  }
  work.sent = true;
  work.agreed = plan.steps.slice(1);
  const state = await mined(work, hash, values);
  // While the dialog is open nobody writes behind it.
  work.done(state?.block ?? 0);
  if (state === null || work.closed) return undefined;
  if (state.state === "failed") return say(work, "plan.failed", state, true);
  if (plan.steps.length > 1) {
    work.step += 1;
    return prepare(work);
  }
  return say(work, "plan.done", state);
}

/** Wait until a transaction is in a block; null if the reader does not wait any more. */
async function mined(work, hash, values) {
  const began = Date.now();
  let said = "";
  while (!work.closed && Date.now() - began < WAIT_MS) {
    let state = { state: "waiting" };
    try {
      state = await api.transaction(hash);
    } catch (error) {
      if (error.code === "bad_transaction") {
        say(work, "error.bad_transaction", {}, true);
        return null;
      }
    }
    if (state.state === "done" || state.state === "failed") return state;
    const key = state.state === "unknown" && Date.now() - began > UNSEEN_MS ? "plan.unseen" : "plan.waiting";
    if (key !== said) say(work, key, { ...values, hash });
    said = key;
    await new Promise((done) => setTimeout(done, LOOK_MS));
  }
  return null;
}
