// Words, in the reader's language, from one file; and sentences with values in them.

import { el } from "./dom.js";
import * as format from "./format.js";

const KEPT = "cuckoo-language";
const FORMS = {
  text: String,
  number: format.number,
  cai: format.cai,
  about: format.roughCai,
  coin: format.coin,
  percent: format.percent,
  weight: format.weight,
  time: format.time,
  duration: format.duration,
};

let strings = {};
export let language = "en";

/** Read the strings and choose a language: the one kept, else the browser's. */
export async function loadWords() {
  strings = await (await fetch("/strings.json", { credentials: "same-origin" })).json();
  let kept = null;
  try {
    kept = localStorage.getItem(KEPT);
  } catch {
    // A browser that keeps nothing asks each time.
  }
  setLanguage(kept ?? (navigator.language.startsWith("hi") ? "hi" : "en"));
}

/** @param {string} chosen - "en" or "hi" */
export function setLanguage(chosen) {
  language = chosen === "hi" ? "hi" : "en";
  format.useLanguage(language);
  document.documentElement.lang = language;
  try {
    localStorage.setItem(KEPT, language);
  } catch {
    // As above.
  }
}

/** Whether there are words for a key. */
export function knows(key) {
  return Object.hasOwn(strings, key);
}

/** A sentence as text. */
export function t(key, values = {}) {
  return pieces(key, values).map((piece) => (typeof piece === "string" ? piece : piece.textContent)).join("");
}

/** A sentence as nodes: addresses are links, others' words stand by themselves and cannot turn the rest around. */
export function pieces(key, values = {}) {
  const text = knows(key) ? strings[key][language] : key;
  return text.split(/(\{\w+:\w+\})/).map((part) => {
    const found = /^\{(\w+):(\w+)\}$/.exec(part);
    return found ? shown(values[found[1]], found[2]) : part;
  });
}

function shown(value, form) {
  if (value === undefined || value === null) return "–";
  switch (form) {
    case "address":
      return address(value);
    case "contract":
      return el("code", {}, value);
    case "hash":
      return el("code", { title: value }, format.short(value));
    case "task":
      return taskLink(value);
    case "fault":
      return knows(`fault.${value}`) ? strings[`fault.${value}`][language] : String(value);
    case "role":
      return knows(`role.${value}`) ? strings[`role.${value}`][language] : format.untrusted(value);
    case "untrusted":
      return stranger(value);
    default:
      return FORMS[form](value);
  }
}

/** Somebody else's words. */
export function stranger(text) {
  return el("bdi.stranger", { dir: "auto" }, format.untrusted(text));
}

/** A task as a link to its page. */
export function taskLink(id) {
  return el("a", { href: `#/task/${id}`, title: id }, el("code", {}, format.short(id)));
}

/** An address as a link to its page; whole, since a part can be imitated. */
export function address(hex, kind = "node") {
  return el("a.address", { href: `#/${kind}/${hex}`, title: hex }, hex);
}
