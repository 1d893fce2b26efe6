// This node's own page: for who has a session.

import * as api from "./api.js";
import { el, facts } from "./dom.js";
import * as format from "./format.js";
import { gallery } from "./gallery.js";
import { stranger, t } from "./i18n.js";
import { asked } from "./nodes.js";
import * as session from "./session.js";
import { studio } from "./studio.js";

/** @param {Element} place @param {object} state - of `main.js`, with what went wrong with a link */
export function ownPage(place, state) {
  place.append(el("h1", {}, t("own.title")));
  if (session.kept() === null) {
    place.append(...without(state.problem));
    return null;
  }
  const content = el("div");
  place.append(content);
  const ends = [];
  const end = asked(content, async () => {
    const own = await api.ownNode();
    return [own, own.has_studio ? (await api.models()).models : null];
  }, ([own, models]) => [...(models ? pictures(models, ends) : []), node(own)]);
  return () => {
    end();
    for (const leave of ends) leave();
  };
}

function pictures(models, ends) {
  const shown = gallery();
  const trying = studio(models, shown.renew);
  ends.push(shown.end, trying.end);
  return [trying.part, shown.part];
}

function without(problem) {
  return [
    problem ? el("p.problem", { role: "alert" }, problem.words()) : null,
    el("p.lead", {}, t("own.locked")),
    el("pre", { tabindex: "0" }, el("code", {}, "cuckoo-peer portal open DATA-DIR")),
    el("p", {}, t("own.how")),
  ].filter(Boolean);
}

/** A coordinator's deposit, and what it owes. A miner's books have other fields. */
function money({ role, pay }) {
  if (role !== "coordinator" || !pay) return [];
  return ["deposit_wei", "free_wei", "outstanding_wei", "held_wei", "leaving_wei"].map((name) => [t(`pay.${name}`), format.cai(pay[name])]);
}

function node(own) {
  const reasons = Object.values(own.reasons).map((text) => el("li", {}, stranger(text)));
  const end = () => api.endSession().catch(() => {}).finally(() => window.dispatchEvent(new Event("cuckoo:session")));
  return el(
    "section.card",
    {},
    el("h2", {}, t("own.node")),
    facts([
      [t("node.role"), t(`role.${own.role}`)],
      [t("own.state"), own.ready ? t("own.ready") : el("ul", {}, reasons)],
      ...money(own),
      [t("own.session"), t("own.ends", { left: own.ends_in_s })],
    ]),
    el("div.actions", {}, el("button", { type: "button", onclick: end }, t("own.end"))),
  );
}
