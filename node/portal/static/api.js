// Asks this node, and nobody else.

import { pieces, knows } from "./i18n.js";
import * as session from "./session.js";

/** A refusal of the node. `code` is one of its error codes, or "silent" when it does not answer. */
export class ApiError extends Error {
  constructor(code, values = {}) {
    super(code);
    this.code = code;
    this.values = values;
  }

  /** What to tell the reader: nodes and texts. */
  words() {
    return this.code === "refused" ? refusal(this.values.name, this.values.arguments) : pieces(`error.${this.code}`, this.values);
  }
}

/** A contract's refusal in words. */
export function refusal(name, values) {
  return knows(`refused.${name}`) ? pieces(`refused.${name}`, values) : pieces("refused.other", { name });
}

// Longer than the node itself waits for its chain.
const PATIENCE_MS = 60_000;

/** What `read` makes of the node's answer. @throws {ApiError} */
async function reach(path, options, read) {
  try {
    const answer = await fetch(`/api/${path}`, { credentials: "omit", cache: "no-store", ...options });
    if (!answer.ok) throw refused(await answer.json());
    return await read(answer);
  } catch (error) {
    throw error instanceof ApiError ? error : new ApiError("silent");
  }
}

const ask = (path, options = {}) => reach(path, { signal: AbortSignal.timeout(PATIENCE_MS), ...options }, (answer) => answer.json());

/** What the node said instead of an answer. A session that it does not know any more is over. */
function refused(body) {
  const error = new ApiError(body.error?.code ?? "our_fault", body.error ?? {});
  if (error.code === "no_session" && session.kept() !== null) {
    session.keep(null);
    window.dispatchEvent(new CustomEvent("cuckoo:session", { detail: error }));
  }
  return error;
}

const json = (body, headers = {}) => ({ method: "POST", headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(body) });
const own = () => ({ "x-cuckoo-session": session.kept() ?? "" });

export const network = () => ask("network");
export const overview = () => ask("overview");
export const nodes = (role, offset = 0) => ask(`nodes?role=${role}&offset=${offset}`);
export const node = (address) => ask(`nodes/${encodeURIComponent(address)}`);
export const account = (address, offset = 0) => ask(`accounts/${encodeURIComponent(address)}?offset=${offset}`);
export const transaction = (hash) => ask(`transactions/${encodeURIComponent(hash)}`);
export const task = (id) => ask(`tasks/${encodeURIComponent(id)}`);
export const epoch = (number) => ask(`epochs/${encodeURIComponent(number)}`);
export const plan = (wish) => ask("plan", json(wish));

/** Begin a session with the code of a link. */
export async function openSession(code) {
  session.keep((await ask("session", json({ code }))).secret);
}

/** End it, here and at the node. */
export async function endSession() {
  const headers = own();
  session.keep(null);
  await ask("session/end", { method: "POST", headers });
}

export const ownNode = () => ask("own", { headers: own() });
export const models = () => ask("own/models", { headers: own() });
export const pictures = (offset) => ask(`own/pictures?offset=${offset}`, { headers: own() });
export const picture = (id) => reach(`own/tasks/${id}/picture`, { headers: own() }, (answer) => answer.blob());
export const receipt = (id) => ask(`own/tasks/${id}/receipt`, { headers: own() });
export const deletePicture = (id) => ask(`own/tasks/${id}/delete`, { method: "POST", headers: own() });
export const cancelOrder = (name) => ask("own/orders/cancel", json({ name }, own()));

/**
 * Place an order, or find it by its name, and follow it to its end.
 * @param {object} order - a wish with a name
 * @param {(event: object) => void} take
 */
export async function order(order, take, signal) {
  await reach("own/orders", { ...json(order, own()), signal }, async (answer) => {
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let held = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const blocks = (held + value).split("\n\n");
      held = blocks.pop();
      for (const block of blocks) if (block.startsWith("data: ")) take(JSON.parse(block.slice(6)));
    }
  });
}

/**
 * Follow the live feed while the page is seen; returns what ends it. A browser has six connections for a node: pages
 * that nobody looks at must not hold them.
 * @param {(event: object) => void} take
 */
export function follow(take) {
  let source = null;
  const attend = () => {
    source?.close();
    source = document.hidden ? null : new EventSource("/api/events");
    source?.addEventListener("message", (message) => take(JSON.parse(message.data)));
  };
  attend();
  document.addEventListener("visibilitychange", attend);
  return () => {
    document.removeEventListener("visibilitychange", attend);
    source?.close();
  };
}
