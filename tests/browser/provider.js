// A wallet's provider in the page (EIP-1193), announced as EIP-6963 has it; what it is asked goes to the play.
(() => {
  const listeners = { accountsChanged: [], chainChanged: [] };
  const provider = {
    async request({ method, params = [] }) {
      const answer = await window.cuckooTestWallet(method, params);
      if (answer.error) throw Object.assign(new Error(answer.error.message), { code: answer.error.code });
      return answer.result;
    },
    on(name, listener) {
      listeners[name]?.push(listener);
    },
  };
  window.cuckooTestTell = (name, value) => listeners[name].forEach((listener) => listener(value));
  if (window.cuckooTestFallback) {
    window.ethereum = provider;
    return;
  }
  const info = Object.freeze({ uuid: "11111111-2222-4333-8444-555555555555", name: "Test <b>wallet</b>", icon: "data:,", rdns: "org.example" });
  const announce = () => window.dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail: Object.freeze({ info, provider }) }));
  window.addEventListener("eip6963:requestProvider", announce);
  announce();
})();
