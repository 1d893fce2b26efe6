// Numbers, times and addresses for people. Amounts come as decimal text in wei and stay exact: BigInt, no floats.

const CAI_DECIMALS = 18n;
const MICRO_CAI_DECIMALS = 6n;
const JAIL_FOREVER_S = 2n ** 40n - 1n;
// What hides or turns text around: controls, bidirectional marks, invisible ones. Joiners stay: Devanagari needs them.
const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/gu;
const TEXT_MAX = 600;

let locale = "en";

/** @param {string} language - of the page */
export function useLanguage(language) {
  locale = language === "hi" ? "hi-IN" : "en-GB";
}

/** A whole number. */
export function number(value) {
  return new Intl.NumberFormat(locale).format(BigInt(value));
}

function decimal(value, decimals, shown = decimals) {
  const units = 10n ** decimals;
  const whole = BigInt(value) / units;
  let part = (BigInt(value) % units).toString().padStart(Number(decimals), "0");
  part = part.slice(0, Number(shown)).replace(/0+$/, "");
  return new Intl.NumberFormat(locale).format(whole) + (part ? `.${part}` : "");
}

/** Exact, of wei. */
export function cai(wei) {
  return `${decimal(wei, CAI_DECIMALS)} CAI`;
}

/** Rounded down to two decimals, where the exact amount is not needed. */
export function roughCai(wei) {
  return `${decimal(wei, CAI_DECIMALS, 2n)} CAI`;
}

/** Of the chain's own coin, rounded down to six decimals, and never shown as nothing when it is something. */
export function coin(wei) {
  const shown = decimal(wei, CAI_DECIMALS, 6n);
  return shown === "0" && BigInt(wei) > 0n ? "< 0.000001" : shown;
}

/** Of micro-CAI, as weights are. */
export function weight(micro) {
  return `${decimal(micro, MICRO_CAI_DECIMALS, 2n)} CAI`;
}

/** A share of a whole in per cent, rounded to one decimal. */
export function share(part, whole) {
  if (BigInt(whole) === 0n) return "0 %";
  const permille = (BigInt(part) * 2000n + BigInt(whole)) / (BigInt(whole) * 2n);
  if (permille === 0n && BigInt(part) > 0n) return "< 0.1 %";
  return `${new Intl.NumberFormat(locale).format(permille / 10n)}.${permille % 10n} %`;
}

/** Of basis points. */
export function percent(basisPoints) {
  return `${decimal(basisPoints, 2n)} %`;
}

/** A Unix time in seconds, in the reader's own zone. */
export function time(seconds) {
  const options = { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" };
  const date = new Date(Number(seconds) * 1000);
  return Number.isNaN(date.getTime()) ? String(seconds) : new Intl.DateTimeFormat(locale, options).format(date);
}

/** The time of the day, of milliseconds. */
export function clock(ms) {
  return new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(new Date(ms));
}

/** A length of time in its two largest units. */
export function duration(seconds) {
  const parts = [];
  let left = Math.max(0, Math.round(Number(seconds)));
  for (const [unit, size] of [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]]) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count && parts.length < 2) parts.push(new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long" }).format(count));
  }
  return parts.join(" ") || new Intl.NumberFormat(locale, { style: "unit", unit: "second", unitDisplay: "long" }).format(0);
}

/** Beginning and end of an address or a hash. */
export function short(hex) {
  return hex.length > 14 ? `${hex.slice(0, 8)}…${hex.slice(-4)}` : hex;
}

/** Whether a jail has no end. */
export function isForever(seconds) {
  return BigInt(seconds) === JAIL_FOREVER_S;
}

/** Somebody else's text: what would hide or turn other text is shown as a mark, and what is too long is cut. */
export function untrusted(text) {
  const marked = String(text).replace(INVISIBLE, "\ufffd");
  return marked.length > TEXT_MAX ? `${marked.slice(0, TEXT_MAX)}…` : marked;
}

/** The text as a URL that may be a link: https, with a host, without a user's name; null if it is not. */
export function safeUrl(text) {
  try {
    const url = new URL(String(text));
    return url.protocol === "https:" && url.hostname && !url.username && !url.password ? url.href : null;
  } catch {
    return null;
  }
}
