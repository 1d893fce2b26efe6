// The network now: figures, the draw as a picture, and the live feed.

import * as api from "./api.js";
import { el, svg } from "./dom.js";
import * as format from "./format.js";
import { address, pieces, t } from "./i18n.js";

const FEED_SHOWN = 25;
const COLOURS = 8;
const BAR = { width: 600, height: 44 };
const CHART = { width: 240, height: 44 };
const SECONDS_A_DAY = 86_400n;

/** @param {Element} place @param {object} state - of `main.js` @returns {() => void} ends the page */
export function overviewPage(place, state) {
  const figures = el("div.tiles");
  const draw = el("div");
  place.append(
    el("h1", {}, t("overview.title")),
    el("p.lead", {}, t("overview.intro")),
    figures,
    el("section", {}, el("h2", {}, t("draw.title")), draw),
    el("section", {}, el("h2", {}, t("feed.title")), feed(state)),
  );
  let drawn = "";
  const renew = () => {
    if (!state.overview) return figures.replaceChildren(el("p", {}, t(state.silent ? "error.silent" : "loading")));
    figures.replaceChildren(...tiles(state.overview));
    // A picture that has not changed stays, with what the reader has selected in it.
    const key = JSON.stringify(state.overview.draw);
    if (key !== drawn) draw.replaceChildren(...picture(state.overview.draw));
    drawn = key;
  };
  renew();
  window.addEventListener("cuckoo:overview", renew);
  return () => {
    window.removeEventListener("cuckoo:overview", renew);
    feed.end?.();
  };
}

function tile(name, value, ...rest) {
  return el("div.tile", {}, el("h2", {}, name), el("p.figure", {}, value), rest.map((item) => (item instanceof Element ? item : el("p.quiet", {}, item))));
}

function tiles(overview) {
  const { miners, coordinators, tasks, stream, chain, watched } = overview;
  const counts = tasks.per_minute;
  const flows = BigInt(stream.wei_per_s) > 0n;
  return [
    tile(t("overview.miners"), format.number(miners.count), t("overview.staked", { amount: miners.weight })),
    tile(t("overview.coordinators"), format.number(coordinators.count), t("overview.staked", { amount: coordinators.weight })),
    tile(
      t("overview.tasks"),
      format.number(counts.at(-1)),
      chart(counts),
      `${t("overview.hour", { count: counts.reduce((sum, count) => sum + count, 0) })}, ${t("overview.heard", { since: Math.floor(tasks.since_ms / 1000) })}`,
    ),
    tile(
      t("overview.rewards"),
      format.roughCai(BigInt(stream.wei_per_s) * SECONDS_A_DAY),
      flows ? t("overview.until", { end: stream.end_time_s }) : t("overview.no_rewards"),
    ),
    tile(t("overview.audits"), format.number(watched.audits), t("overview.audits_failed", watched), t("overview.heard", { since: Math.floor(watched.since_ms / 1000) })),
    tile(t("overview.faults"), format.number(watched.faults), t("overview.slashable", watched)),
    tile(
      t("overview.epoch"),
      chain.epoch === null ? t("overview.no_epoch") : String(chain.epoch),
      t("overview.block", { block: chain.head_block, time: chain.head_time_s }),
    ),
  ];
}

function chart(counts) {
  const most = Math.max(...counts);
  const step = CHART.width / counts.length;
  const bars = counts.map((count, index) => {
    const height = most ? Math.max(count ? 2 : 0.5, (count / most) * CHART.height) : 0.5;
    return svg("rect", { x: index * step, y: CHART.height - height, width: step * 0.75, height });
  });
  const label = t("overview.chart", { most });
  return svg("svg", { viewBox: `0 0 ${CHART.width} ${CHART.height}`, class: "chart", role: "img", "aria-label": label }, ...bars);
}

function picture(draw) {
  if (!draw || draw.total === "0") return [el("p", {}, t("draw.empty"))];
  const rows = draw.miners.map((miner, index) => ({ ...miner, colour: index % COLOURS }));
  let at = 0;
  const segments = rows.map(({ weight, colour, address: hex }) => segment(weight, `c${colour}`, `${hex}: ${format.share(weight, draw.total)}`));
  if (draw.others.count) segments.push(segment(draw.others.weight, "rest", t("draw.others", draw.others)));

  function segment(weight, colour, title) {
    const width = Number((BigInt(weight) * 1_000_000n) / BigInt(draw.total)) * (BAR.width / 1_000_000);
    const part = svg("rect", { x: at, y: 0, width: Math.max(0.4, width - 1), height: BAR.height, class: colour }, svg("title"));
    part.firstChild.textContent = title;
    at += width;
    return part;
  }

  const others = draw.others.count ? [el("tr", {}, cell("draw.miner", el("span.named", {}, el("span.dot.rest"), el("span", {}, t("draw.others", draw.others)))), ...amounts(draw.others.weight))] : [];
  function amounts(weight) {
    return [cell("draw.stake", format.weight(weight)), cell("draw.chance", format.share(weight, draw.total))];
  }
  const head = ["draw.miner", "draw.stake", "draw.chance"].map((key) => el("th", { scope: "col" }, t(key)));
  const body = rows.map((row) => el("tr", {}, cell("draw.miner", el("span.named", {}, el(`span.dot.c${row.colour}`), address(row.address))), ...amounts(row.weight)));
  return [
    el("p", {}, t("draw.intro", draw)),
    svg("svg", { viewBox: `0 0 ${BAR.width} ${BAR.height}`, class: "bar", role: "img", preserveAspectRatio: "none", "aria-label": t("draw.picture") }, ...segments),
    el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, body, others)),
  ];
}

/** A cell that says its column's name where the table is shown as cards. */
export function cell(key, ...content) {
  return el("td", { "data-label": t(key) }, el("span", {}, content));
}

function feed(state) {
  const list = el("ol.feed");
  const empty = el("p.quiet", {}, t("feed.empty"));
  const dropped = el("p.quiet", { hidden: true });
  let last = 0;
  feed.end = api.follow((happening) => {
    if (happening.sequence <= last) {
      // A node that was restarted counts from its beginning; the same node repeats what it remembers.
      if (happening.sequence !== 1) return;
      list.replaceChildren();
    }
    last = happening.sequence;
    empty.hidden = true;
    dropped.hidden = !happening.dropped;
    dropped.textContent = t("feed.dropped", { count: happening.dropped });
    list.prepend(el("li", {}, el("time", {}, format.clock(happening.at_ms)), " ", el("span", {}, pieces(`feed.${happening.event}`, values(happening)))));
    while (list.children.length > FEED_SHOWN) list.lastChild.remove();
  });
  return el("div", {}, empty, list, dropped);
}

function values(happening) {
  return happening.drawn ? { ...happening, first: happening.drawn[0] } : happening;
}
