// What an account has and where its stake is: for anybody's address without a wallet, and with buttons for one's own.

import * as api from "./api.js";
import { el, facts, field } from "./dom.js";
import * as format from "./format.js";
import { address, pieces, t } from "./i18n.js";
import { introductionFields } from "./introduction.js";
import { asked, pages } from "./nodes.js";

const SOON_MS = 1_500;
const LATER_MS = 10_000;

/** The page of an address. */
export function accountPage(place, state, hex) {
  place.append(el("h1", {}, t("account.title")), el("p.address-title", {}, el("code", {}, hex)));
  const content = el("div");
  place.append(content);
  const offset = Number.parseInt(new URLSearchParams(location.hash.split("?")[1] ?? "").get("offset") ?? "0", 10) || 0;
  return account(content, hex, offset, null);
}

/**
 * Show an account, and again: soon while the chain is not read as far as the reader has seen it, now and then later.
 * @param {((wish: object) => void)|null} act - what a button of the account's owner does; null for a reader
 * @param {() => number} block - the newest that something of the reader's is in
 */
export function account(place, hex, offset, act, block = () => 0) {
  let timer = null;
  let ended = false;
  place.tabIndex = -1;
  const href = (at) => (act ? "#/stake" : `#/address/${hex}`) + `?offset=${at}`;
  const again = (found) => {
    if (ended) return;
    const soon = !found.read.is_caught_up || found.read.head < block();
    timer = setTimeout(renew, soon ? SOON_MS : LATER_MS);
  };
  const renew = () => {
    api.account(hex, offset).then(
      (found) => {
        if (ended) return;
        if (!isTypedIn(place)) {
          const held = place.contains(document.activeElement);
          place.replaceChildren(...parts(found, act, href).flat());
          if (held) place.focus({ preventScroll: true });
        }
        again(found);
      },
      () => again({ read: { is_caught_up: true, head: 0 } }),
    );
  };
  // What was sent is not wanted again; what is typed from now on is left alone.
  const sent = () => {
    for (const input of place.querySelectorAll("input")) input.value = "";
    for (const open of place.querySelectorAll("details")) open.open = false;
    clearTimeout(timer);
    renew();
  };
  window.addEventListener("cuckoo:sent", sent);
  const end = asked(place, () => api.account(hex, offset), (found) => {
    again(found);
    return parts(found, act, href);
  });
  return () => {
    ended = true;
    window.removeEventListener("cuckoo:sent", sent);
    clearTimeout(timer);
    end();
  };
}

/** Whether somebody is writing there, or about to: then it is left alone. */
function isTypedIn(place) {
  return place.querySelector("details[open]") !== null || [...place.querySelectorAll("input")].some((input) => input === document.activeElement || input.value);
}

function parts(found, act, href) {
  const { read } = found;
  const owns = found.owns.length ? [t("account.owns"), found.owns.map((node) => el("div", {}, address(node)))] : null;
  const shown = [
    facts([[t("account.cai"), format.cai(found.cai_wei)], [t("account.coin"), format.coin(found.coin_wei)], owns]),
    el("h2", {}, t("positions.title")),
  ];
  if (!read.is_caught_up) shown.push(el("p.quiet", { role: "status" }, t("positions.reading", { block: read.next_block, head: read.head })));
  if (read.passed_over) shown.push(el("p.quiet", {}, t("positions.full")));
  if (!found.positions.length && read.is_caught_up) shown.push(el("p", {}, t("positions.empty")));
  shown.push(...found.positions.map((position) => card(position, found.head_time_s, act)), pages(found, href));
  return shown;
}

// Whether something is open yet goes by the chain's time, as in the contract.
function card(position, chain_s, act) {
  const { node, stake_wei, claimable_wei, unbonding } = position;
  const kind = position.role === null ? "positions.key" : position.is_owner ? "positions.owner" : "positions.voter";
  const labels = [el("span.label", {}, t(kind))];
  if (position.role) labels.push(el("span.label", {}, t(`role.${position.role}`)));
  if (position.role && !position.active) labels.push(el("span.label.bad", {}, t("positions.inactive")));
  const button = (name, wish, primary = false) =>
    el(primary ? "button.primary" : "button", { type: "button", onclick: () => act({ action: name, node, ...wish }) }, t(`do.${name}`));
  const requests = unbonding.map((item) => {
    const open = item.release_s <= chain_s;
    return el(
      "li",
      {},
      el("span", {}, t(open ? "positions.released" : "positions.leaving", item)),
      act && open ? button("withdraw", { request_id: item.request_id }, true) : null,
    );
  });
  return el(
    "article.card",
    {},
    el("h3", {}, pieces("positions.behind", { node })),
    el("p", {}, labels),
    facts([[t("positions.stake"), format.cai(stake_wei)], [t("positions.claimable"), format.cai(claimable_wei)]]),
    requests.length ? el("ul.requests", {}, requests) : null,
    act ? actions(position, button, act) : null,
    act && position.is_owner ? owning(node, act) : null,
  );
}

/** What an owner says of a node, and keeps of what its voters earn. */
function owning(node, act) {
  const introduction = introductionFields();
  const percent = el("input", { name: "percent", inputmode: "decimal", autocomplete: "off", required: true, pattern: "[0-9]{1,2}([.][0-9]{1,2})?" });
  const introduce = (event) => {
    event.preventDefault();
    act({ action: "introduce", node, introduction: introduction.text() });
  };
  const keep = (event) => {
    event.preventDefault();
    act({ action: "commission", node, percent: percent.value.trim() });
  };
  const submit = () => el("button", { type: "submit" }, t("do.review"));
  return el(
    "details",
    {},
    el("summary", {}, t("owner.title")),
    el("form", { onsubmit: introduce, "aria-label": t("owner.introduce") }, el("p", {}, t("owner.introduce")), introduction.fields, submit()),
    el("form", { onsubmit: keep, "aria-label": t("owner.commission") }, field(t("owner.commission"), percent, t("owner.commission_hint")), submit()),
  );
}

function actions(position, button, act) {
  const { node, stake_wei, claimable_wei } = position;
  const parts = [];
  if (BigInt(claimable_wei) > 0n) parts.push(button("claim", {}, true));
  if (BigInt(stake_wei) > 0n) {
    const amount = el("input", { name: "amount", inputmode: "decimal", autocomplete: "off", "aria-label": t("field.amount"), placeholder: t("field.amount") });
    const leave = (event) => {
      event.preventDefault();
      act({ action: "unvote", node, amount: amount.value.trim() });
    };
    parts.push(
      el(
        "form.inline",
        { onsubmit: leave },
        amount,
        el("button", { type: "button", onclick: () => (amount.value = "all") }, t("all")),
        el("button", { type: "submit" }, t("do.unvote")),
      ),
    );
  }
  return el("div.actions", {}, parts);
}
