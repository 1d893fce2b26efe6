// A receipt, checked in the page: every signature, the draw, every reference, and the picture. It proves what its
// signers said; that its epoch is the chain's is for who knows the chain's (protocol/README.md, The receipt).

import { fromHex, same, sha256, toHex } from "./bytes.js";
import { ranking, taskSeed } from "./draw.js";
import { domainSeparator, open } from "./statements.js";

const FORMAT = "cuckoo-receipt/1";
const IMAGES = [0n, 1n];
const WORKS = { task: 2, acceptance: 3, commitment: 4 };

/** A receipt that does not hold. `code` is of the page's words. */
export class BadReceipt extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

function hold(condition, code) {
  if (!condition) throw new BadReceipt(code);
}

/**
 * What a receipt proves.
 * @param {object} document - of the form cuckoo-receipt/1
 * @param {Uint8Array|null} output - the picture; null without it
 * @returns {{taskId: string, coordinator: string, miner: string, epoch: number, ranking: [string, number][], priceMicroCai: bigint}}
 *   in hexadecimal with 0x
 * @throws {BadReceipt} it does not hold
 */
export function verify(document, output) {
  try {
    return checked(document, output);
  } catch (error) {
    if (error instanceof BadReceipt) throw error;
    // Whatever is not there, or of another form: a receipt comes from anywhere.
    throw new BadReceipt("form");
  }
}

function checked(document, output) {
  hold(document.format === FORMAT, "form");
  const separator = domainSeparator(document.chain_id, fromHex(document.slashing_contract));
  const [task, acceptance, commitment] = [
    ["announcement", WORKS.task],
    ["acceptance", WORKS.acceptance],
    ["commitment", WORKS.commitment],
  ].map(([name, kind]) => {
    const opened = open(separator, fromHex(document[name]));
    hold(opened.kind === kind, "form");
    return opened;
  });
  const [coordinator, epoch, number, , , work, , price, , , , places] = task.fields;
  hold(same(coordinator, task.signer), "signer");
  hold(same(task.digest, fromHex(document.task_id)), "task");
  hold(BigInt(document.epoch.number) === epoch, "epoch");
  hold(BigInt(document.epoch.coordinator_weight_micro_cai) > 0n, "coordinator");
  const drawn = draw(document.epoch, coordinator, number, places.length);
  hold(places.every(([miner], at) => toHex(miner) === drawn[at]), "draw");
  for (const statement of [acceptance, commitment]) {
    hold(same(statement.fields[0], task.digest), "task");
    hold(same(statement.signer, acceptance.signer), "signer");
  }
  const assigned = places.filter(([, reason]) => reason === 0n).map(([miner]) => miner);
  const rank = Number(acceptance.fields[1]);
  hold(rank < assigned.length && same(assigned[rank], commitment.signer), "rank");
  hold(IMAGES.includes(work[0]) && commitment.fields[5] === work[1], "units");
  if (output !== null) hold(same(sha256(output), commitment.fields[3]), "picture");
  return {
    taskId: `0x${toHex(task.digest)}`,
    coordinator: `0x${toHex(coordinator)}`,
    miner: `0x${toHex(commitment.signer)}`,
    epoch: document.epoch.number,
    ranking: places.map(([miner, reason]) => [`0x${toHex(miner)}`, Number(reason)]),
    priceMicroCai: price,
  };
}

function draw({ seed, miners }, coordinator, number, wanted) {
  const all = miners.map((miner) => ({ address: toHex(fromHex(miner.address)), weight: BigInt(miner.weight_micro_cai) }));
  hold(new Set(all.map(({ address }) => address)).size === all.length, "form");
  const stakes = all.filter(({ weight }) => weight > 0n);
  const drawn = ranking(stakes, taskSeed(fromHex(seed), coordinator, number), wanted);
  hold(drawn.length === wanted, "draw");
  return drawn;
}
