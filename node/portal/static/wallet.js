// Wallets in this browser: found by EIP-6963, or else the one at window.ethereum (EIP-1193). A page asks; the wallet
// shows its own question and has the key.

const REFUSED = 4001;
const UNKNOWN_CHAIN = 4902;
const PENDING = -32002;
const WALLETS_MAX = 16;

const found = new Map();
const listeners = new Set();
const heard = new WeakSet();

/** What is connected: `provider`, `name`, `account`, `chainId` (a number); null before. */
export let connected = null;

window.addEventListener("eip6963:announceProvider", (event) => {
  const { info, provider } = event.detail ?? {};
  if (!info?.uuid || typeof provider?.request !== "function" || found.has(info.uuid) || found.size >= WALLETS_MAX) return;
  found.set(info.uuid, { name: String(info.name ?? "?").slice(0, 60), provider });
  tell();
});

/** Ask wallets to announce themselves. */
export function look() {
  window.dispatchEvent(new Event("eip6963:requestProvider"));
}

/** All that were found. @returns {{name: string|null, provider: object}[]} a name of null is the fallback's */
export function wallets() {
  if (found.size === 0 && typeof window.ethereum?.request === "function") return [{ name: null, provider: window.ethereum }];
  return [...found.values()];
}

/** Call `listener` whenever something about wallets changes. */
export function onChange(listener) {
  listeners.add(listener);
}

function tell() {
  for (const listener of listeners) listener();
}

/** What went wrong with a wallet, by the page's words for it. */
export function wordsFor(error) {
  if (error?.code === REFUSED) return ["wallet.refused", {}];
  if (error?.code === PENDING) return ["wallet.pending", {}];
  return ["wallet.failed", { message: String(error?.message ?? error) }];
}

/** Connect a wallet's first account. */
export async function connect({ name, provider }) {
  const accounts = await provider.request({ method: "eth_requestAccounts" });
  const chainId = await provider.request({ method: "eth_chainId" });
  if (!accounts?.length) throw Object.assign(new Error("no account"), { code: REFUSED });
  connected = { provider, name, account: accounts[0].toLowerCase(), chainId: Number(chainId) };
  if (!heard.has(provider)) {
    provider.on?.("accountsChanged", (changed) => {
      if (connected?.provider !== provider) return;
      connected = changed.length ? { ...connected, account: changed[0].toLowerCase() } : null;
      tell();
    });
    provider.on?.("chainChanged", (changed) => {
      if (connected?.provider !== provider) return;
      connected = { ...connected, chainId: Number(changed) };
      tell();
    });
    heard.add(provider);
  }
  tell();
}

/** Forget the wallet. */
export function disconnect() {
  connected = null;
  tell();
}

/** Have the wallet go to the network's chain, and add it if it does not know it. */
export async function switchChain(network) {
  const chainId = `0x${network.chain_id.toString(16)}`;
  const { provider } = connected;
  try {
    await provider.request({ method: "wallet_switchEthereumChain", params: [{ chainId }] });
  } catch (error) {
    if (error?.code !== UNKNOWN_CHAIN) throw error;
    const coin = { name: "Coin", symbol: "COIN", decimals: 18 };
    const chain = { chainId, chainName: `Cuckoo ${network.name}`, nativeCurrency: coin, rpcUrls: [network.rpc_url] };
    await provider.request({ method: "wallet_addEthereumChain", params: [chain] });
  }
  connected = { ...connected, chainId: Number(await provider.request({ method: "eth_chainId" })) };
  tell();
}

/** Have the wallet sign and send one step of a plan; returns the transaction's hash. */
export function send(plan, step) {
  const transaction = {
    from: plan.account,
    to: step.to,
    data: step.data,
    value: step.value,
    gas: `0x${step.gas.toString(16)}`,
    chainId: `0x${plan.chain_id.toString(16)}`,
  };
  return connected.provider.request({ method: "eth_sendTransaction", params: [transaction] });
}
