// Faucet, stake, vote, claim, unbond, withdraw, register: forms that become wishes, and wishes plans.

import { account } from "./account.js";
import { el, field } from "./dom.js";
import { address, pieces, t } from "./i18n.js";
import { introductionFields } from "./introduction.js";
import { openPlan } from "./plan.js";
import * as wallet from "./wallet.js";

/** @param {URLSearchParams} options - with the address of a node to vote for */
export function stakePage(place, state, options) {
  place.append(el("h1", {}, t("stake.title")), el("p.lead", {}, t("stake.intro")));
  if (!state.network) {
    place.append(el("p.quiet", {}, t(state.silent ? "error.silent" : "loading")));
    return null;
  }
  if (!wallet.connected) {
    place.append(choose(), deposit(null, options));
    return null;
  }
  const hex = wallet.connected.account;
  const positions = el("div");
  let newest = 0;
  const done = (block) => {
    newest = Math.max(newest, block);
    window.dispatchEvent(new Event("cuckoo:sent"));
  };
  const act = (wish) => openPlan({ account: hex, ...wish }, state.network, done);
  const end = account(positions, hex, Number.parseInt(options.get("offset") ?? "0", 10) || 0, act, () => newest);
  place.append(
    el("section.card", {}, el("h2", {}, t("wallet.title")), connected(hex), positions),
    faucet(state.network, act),
    deposit(act, options),
    registration(state.network, act, hex),
  );
  return end;
}

function choose() {
  const problem = el("p.problem", { role: "alert", hidden: true });
  const connect = async (found) => {
    try {
      await wallet.connect(found);
    } catch (error) {
      problem.hidden = false;
      problem.replaceChildren(...pieces(...wallet.wordsFor(error)));
    }
  };
  const buttons = wallet.wallets().map((found) =>
    el("button.primary", { type: "button", onclick: () => connect(found) }, pieces("wallet.connect", { name: found.name ?? t("wallet.browser") })),
  );
  return el(
    "section.card",
    {},
    el("h2", {}, t("wallet.title")),
    el("p", {}, t(buttons.length ? "wallet.choose" : "wallet.none")),
    el("div.actions", {}, buttons),
    problem,
  );
}

function connected(hex) {
  const name = wallet.connected.name ?? t("wallet.browser");
  return el(
    "div.wallet",
    {},
    el("p", {}, pieces("wallet.connected", { name }), el("br"), address(hex, "address")),
    el("button", { type: "button", onclick: wallet.disconnect }, t("wallet.forget")),
  );
}

function amountField(label = t("field.amount"), value = "") {
  const input = el("input", { name: "amount", inputmode: "decimal", autocomplete: "off", required: true, value });
  return [input, field(label, input, t("field.amount_hint"))];
}

function submit(act) {
  return act ? el("button.primary", { type: "submit" }, t("do.review")) : null;
}

function faucet(network, act) {
  const limit = network.terms.faucet_limit_wei;
  if (limit === null) return "";
  const [amount, shown] = amountField();
  const ask = (event) => {
    event.preventDefault();
    act({ action: "faucet", amount: amount.value.trim() });
  };
  return el(
    "section.card",
    { id: "faucet" },
    el("h2", {}, t("faucet.title")),
    el("p", {}, t("faucet.intro", { limit })),
    el("form", { onsubmit: ask }, shown, submit(act)),
  );
}

function deposit(act, options) {
  const wanted = options.get("node") ?? "";
  const node = el("input", { name: "node", autocomplete: "off", spellcheck: "false", required: true, placeholder: "0x…", value: wanted });
  const kind = el(
    "select",
    { name: "action" },
    el("option", { value: "vote" }, t("vote.as_vote")),
    el("option", { value: "stake" }, t("vote.as_own")),
  );
  const [amount, shown] = amountField();
  const ask = (event) => {
    event.preventDefault();
    act?.({ action: kind.value, node: node.value.trim(), amount: amount.value.trim() });
  };
  return el(
    "section.card",
    { id: "vote" },
    el("h2", {}, t("vote.title")),
    el("p", {}, t("vote.intro")),
    el("p", {}, el("a", { href: "#/nodes/miner" }, t("vote.choose"))),
    act ? el("form", { onsubmit: ask }, field(t("field.node"), node), field(t("vote.kind"), kind), shown, submit(act)) : null,
  );
}

function registration(network, act, hex) {
  const consent = el("textarea", { name: "consent", rows: 5, required: true, spellcheck: "false", dir: "ltr" });
  const introduction = introductionFields();
  const [amount, shown] = amountField(t("register.own", network.minimum_own_stake_wei));
  const ask = (event) => {
    event.preventDefault();
    act({ action: "register", consent: consent.value.trim(), amount: amount.value.trim(), introduction: introduction.text() });
  };
  const command = `cuckoo-peer chain consent NODE-KEY-FILE --role miner --owner ${hex}`;
  return el(
    "details.card",
    { id: "register" },
    el("summary", {}, el("h2", {}, t("register.title"))),
    el("p", {}, t("register.intro")),
    el("pre", { tabindex: "0" }, el("code", {}, command)),
    el(
      "form",
      { onsubmit: ask },
      field(t("field.consent"), consent),
      shown,
      introduction.fields,
      submit(act),
    ),
  );
}
