// The session that shows this node's own: its secret is kept in this tab alone, and sent in a header. No cookie: a
// browser sends cookies to every port of a machine.

const KEPT = "cuckoo-session";
const ORDER = "cuckoo-order";
const CODE = /^#open=([\w-]+)$/;

let secret = null;
try {
  secret = sessionStorage.getItem(KEPT);
} catch {
  // A browser that keeps nothing loses the session with the page.
}

/** The secret, or null without a session. */
export const kept = () => secret;

/** Keep a secret, or forget it: null. */
export function keep(value) {
  secret = value;
  if (value === null) keepOrder(null);
  try {
    if (value === null) sessionStorage.removeItem(KEPT);
    else sessionStorage.setItem(KEPT, value);
  } catch {
    // As above.
  }
}

/** The order that this tab has under way, with its name; null without one. */
export function order() {
  try {
    return JSON.parse(sessionStorage.getItem(ORDER));
  } catch {
    return null;
  }
}

/** Keep it, so that a page that is loaded again finds it; or forget it: null. */
export function keepOrder(value) {
  try {
    if (value === null) sessionStorage.removeItem(ORDER);
    else sessionStorage.setItem(ORDER, JSON.stringify(value));
  } catch {
    // As above.
  }
}

/** The code that the address brings, taken out of it and of the history before anything else happens; or null. */
export function takeCode() {
  const found = CODE.exec(location.hash);
  if (found) history.replaceState(null, "", `${location.pathname}#/own`);
  return found && found[1];
}
