"""Replays the committed vectors as another implementation would: from the files alone."""

import dataclasses
import json
from pathlib import Path

import pytest

from protocol import cbor, draw, model_table, receipt, trace
from protocol.amounts import WEI_PER_MICRO_CAI
from protocol.audit import TraceTensor
from protocol.audit_draw import AuditedWork, BeaconBlock, draw_audit
from protocol.audit_pay import AuditPay, audit_fee_wei
from protocol.draw import EpochView, Snapshot
from protocol.errors import DecodeError, GossipIgnore, GossipReject, InvalidMessage
from protocol.evidence import FORM_OF, decode_evidence, verify_evidence
from protocol.evidence_document import from_document
from protocol.hashing import keccak256
from protocol.merkle import merkle_proof, merkle_root, proves
from protocol.messages import KIND_OF, PassedOver, TaskInput
from protocol.pay import PaySchedule, Price, SignedVoucher, price_of
from protocol.registrations import Registrations
from protocol.rules import evidence, offers, results, tasks, verdicts
from protocol.rules.view import Contradiction, Misranked, Seen, View
from protocol.signature import recover, sign_digest
from protocol.sketch import drawn_places, pack_bins
from protocol.statement import Domain, Envelope, open_statement, read_envelope
from protocol.tensor import proves_piece, tensor_hash
from protocol.terms import AuditTerms, TaskTerms
from protocol.work import Work
from tests.vectors import generate

FOLDER = Path(generate.__file__).parent
RULES = {
    "offers": offers.validate_offer,
    "tasks": tasks.validate_task,
    "results": results.validate_result,
    "verdicts": verdicts.validate_verdict,
    "evidence": evidence.validate_evidence,
}


def load(name):
    return json.loads((FOLDER / name).read_text())


def of_hex(text):
    return bytes.fromhex(text)


@pytest.mark.parametrize("name", generate.FILES)
def test_the_committed_files_are_what_the_generator_makes(name):
    assert (FOLDER / name).read_text() == generate.text_of(name), "run: python -m tests.vectors.generate"


def test_no_file_is_left_over():
    assert {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.json")} == set(generate.FILES)


def value_of(document):
    match document:
        case {"uint": number}:
            return int(number)
        case {"bytes": data}:
            return of_hex(data)
        case {"text": text}:
            return text
        case _:
            return tuple(value_of(item) for item in document)


def test_cbor():
    vectors = load("cbor.json")
    for vector in vectors["valid"]:
        assert cbor.decode(of_hex(vector["encoded"])) == value_of(vector["value"])
        assert cbor.encode(value_of(vector["value"])).hex() == vector["encoded"]
    for vector in vectors["invalid"]:
        with pytest.raises(DecodeError):
            cbor.decode(of_hex(vector["encoded"]))


def test_statements():
    vectors = load("statement.json")
    domain = Domain(vectors["chain_id"], of_hex(vectors["slashing_contract"]))
    assert domain.separator.hex() == vectors["domain_separator"]
    for vector in vectors["statements"]:
        encoded, body = of_hex(vector["envelope"]), of_hex(vector["body"])
        envelope, message = read_envelope(encoded)
        statement = open_statement(domain, encoded, type(message))
        assert envelope == Envelope(1, vector["kind"], body, of_hex(vector["signature"]))
        assert KIND_OF[type(message)] == vector["kind"]
        assert message.slot().hex() == vector["slot"]
        assert (
            domain.digest(vector["kind"], of_hex(vector["slot"]), keccak256(body)).hex() == vector["digest"]
        )
        assert statement.digest.hex() == vector["digest"]
        assert statement.signer.address.hex() == vectors["address"]
        assert sign_digest(of_hex(vectors["secret"]), statement.digest).hex() == vector["signature"]
    task_input = vectors["task_input"]
    decoded = TaskInput.decode(of_hex(task_input["encoded"]))
    assert decoded.commitment().hex() == task_input["commitment"]
    halves = [of_hex(task_input[half]) for half in ("public", "sealed")]
    assert [decoded.public.encode(), decoded.sealed.encode()] == halves
    assert merkle_root(halves).hex() == task_input["commitment"]


def snapshot_of(miners):
    return Snapshot.of(
        (of_hex(miner["address"]), int(miner["weight_micro_cai"]) * WEI_PER_MICRO_CAI) for miner in miners
    )


def test_draw():
    vectors = load("draw.json")
    snapshot, epoch_seed = snapshot_of(vectors["miners"]), of_hex(vectors["epoch_seed"])

    def seed_of(number):
        return draw.task_seed(epoch_seed, of_hex(vectors["coordinator"]), int(number))

    for task in vectors["tasks"]:
        assert seed_of(task["number"]).hex() == task["seed"]
        ranking = list(draw.ranking(snapshot, of_hex(task["seed"])))
        assert [miner.hex() for miner in ranking] == task["ranking"]
    passed = vectors["passed_over"]
    places = draw.rank_for_task(
        snapshot,
        seed_of(passed["number"]),
        lambda miner: PassedOver(passed["reasons"].get(miner.hex(), 0)),
        passed["wanted"],
    )
    assert [{"miner": place.miner.hex(), "passed_over": place.passed_over} for place in places] == passed[
        "ranking"
    ]
    assert {place["passed_over"] for place in passed["ranking"]} == {0, PassedOver.NO_OFFER, PassedOver.BUSY}


def test_audit():
    vectors = load("audit.json")
    epoch = EpochView(
        0,
        bytes(32),
        snapshot_of(vectors["miners"]),
        Snapshot.of([]),
        registrations_of(vectors["registrations"]),
    )
    terms = AuditTerms(**vectors["audit_terms"])
    outcomes = set()
    for case in vectors["draws"]:
        names = ("coordinator", "miner", "commitment")
        work = AuditedWork(*(of_hex(case[name]) for name in names), case["steps"])
        drawn = draw_audit(epoch, work, block_of(case["block"]), terms)
        assert (drawn.dice.hex(), drawn.selected_ppm) == (case["dice"], case["selected_ppm"])
        assert drawn.is_selected == case["is_selected"]
        assert [
            {"auditor": auditor.hex(), "steps": list(steps)} for auditor, steps in drawn.auditors
        ] == case["auditors"]
        outcomes.add((drawn.is_selected, drawn.selected_ppm, len(drawn.auditors)))
    newcomer, usual = terms.newcomer_ppm, terms.selected_ppm
    assert outcomes == {(True, usual, 2), (False, usual, 0), (True, newcomer, 2), (False, newcomer, 0)}
    for case in vectors["sketches"]:
        places = drawn_places(
            of_hex(case["dice"]),
            of_hex(case["auditor"]),
            case["step"],
            TraceTensor(case["tensor"]),
            case["numbers"],
            len(case["places"]),
        )
        assert list(places) == case["places"]
        assert pack_bins(case["bins"]).hex() == case["sketch"]


def test_merkle():
    for tree in load("merkle.json"):
        leaves, root = [of_hex(leaf) for leaf in tree["leaves"]], of_hex(tree["root"])
        assert merkle_root(leaves) == root
        for index, proof in enumerate(tree["proofs"]):
            nodes = tuple(of_hex(node) for node in proof)
            assert merkle_proof(leaves, index) == nodes
            assert proves(root, leaves[index], index, len(leaves), nodes)


def test_pay():
    vectors = load("pay.json")
    pay = AuditPay.decode(of_hex(vectors["audit_pay"]["encoded"]))
    assert (pay.task_id, pay.miner) == (of_hex(vectors["audit_pay"]["task_id"]), of_hex(vectors["miner"]))
    assert pay.voucher.encode().hex() == vectors["vouchers"][-1]["encoded"]
    for case in vectors["audits"]:
        fee_wei = audit_fee_wei(int(case["price_wei"]), case["steps"], case["checked"])
        assert str(fee_wei) == case["fee_wei"]
    for case in vectors["schedules"]:
        schedule = PaySchedule(int(case["price_wei"]), int(case["upfront_wei"]), case["units"])
        assert schedule.slice_units == case["slice_units"]
        assert [str(schedule.due_wei(shown)) for shown in range(case["units"] + 1)] == case["due_wei"]
        for paid in case["paid"]:
            assert schedule.units_paid(int(paid["paid_wei"])) == paid["units_paid"]
            assert schedule.unit_limit(int(paid["paid_wei"])) == paid["unit_limit"]
    for case in vectors["prices"]:
        price = Price(int(case["whole_micro_cai"]), int(case["upfront_micro_cai"]))
        assert price_of(Work.decode(of_hex(case["work"])), (int(case["price_wei"]),)) == price
    for case in vectors["vouchers"]:
        voucher = SignedVoucher.decode(of_hex(case["encoded"]))
        assert (str(voucher.task_wei), str(voucher.cumulative_wei)) == (
            case["task_wei"],
            case["cumulative_wei"],
        )
        assert recover(of_hex(case["digest"]), voucher.signature).address.hex() == vectors["coordinator"]


def test_tensor():
    for case in load("tensor.json"):
        data, digest = of_hex(case["data"]), of_hex(case["hash"])
        assert tensor_hash(data) == digest
        for place in case["places"]:
            piece, proof = of_hex(place["piece"]), [of_hex(sibling) for sibling in place["proof"]]
            assert proves_piece(digest, len(data) // 2, place["number"], piece, proof)


def test_model():
    vectors = load("model.json")
    for case in vectors["models"]:
        head, rows = model_table.ModelHead.decode(of_hex(case["head"])), [of_hex(row) for row in case["rows"]]
        root = model_table.rows_root(b"".join(rows))
        assert root.hex() == case["rows_root"]
        for place, proof in enumerate(case["proofs"]):
            assert proves(root, rows[place], place, head.rows, [of_hex(node) for node in proof])
        files_root = merkle_root([of_hex(leaf) for leaf in case["files"]])
        assert model_table.model_id_of(files_root, head.encode(), root).hex() == case["model_id"]
        for step in case["row_of"]:
            assert head.row_of(step["schedule_steps"], step["units"], step["step"]) == step["row"]
        for size in case["tensor_numbers"]:
            if size["numbers"] is None:
                with pytest.raises(InvalidMessage):
                    head.tensor_numbers(size["width"], size["height"])
            else:
                assert head.tensor_numbers(size["width"], size["height"]) == size["numbers"]
    for head in vectors["heads_refused"]:
        with pytest.raises(InvalidMessage):
            model_table.ModelHead.decode(of_hex(head))


def test_trace():
    for case in load("trace.json"):
        leaves = [b"".join(tensor_hash(of_hex(part)) for part in row) for row in case["tensors"]]
        assert [leaf.hex() for leaf in leaves] == case["leaves"]
        assert merkle_root(leaves).hex() == case["steps_root"]
        names = ("task_id", "miner", "model_id", "image_hash")
        task_id, miner, model_id, image_hash = (of_hex(case[name]) for name in names)
        binding = trace.TraceBinding(task_id, miner, model_id, len(leaves), image_hash)
        request = trace.OpeningRequest.decode(of_hex(case["request"]))
        opening = trace.Opening.decode(of_hex(case["opening"]))
        assert opening.final_latent == tensor_hash(of_hex(case["final_latent"]))
        assert opening.source_latent == tensor_hash(of_hex(case["source_latent"]))
        found = trace.verify_opening(binding, of_hex(case["trace_root"]), request, opening)
        assert {index: leaf.joined for index, leaf in found.items()} == {
            index: leaves[index] for index in trace.leaf_indices(len(leaves), request.steps)
        }


def test_evidence():
    vectors = load("evidence.json")
    known = view_of(vectors["view"])
    assert len(vectors["pieces"]) == len(FORM_OF)
    for vector in vectors["pieces"]:
        domain, evidence, epochs = from_document(vector["document"])
        assert domain == known.domain
        assert verify_evidence(domain, evidence, epochs) == verify_evidence(domain, evidence, known.epochs)
        assert evidence == decode_evidence(of_hex(vector["encoded"]))
        offence, arguments = verify_evidence(domain, evidence, known.epochs), vector["contract_arguments"]
        assert "0x" + offence.signer.hex() == vector["document"]["signer"]
        assert "0x" + offence.slot.hex() == vector["document"]["slot"]
        assert (offence.pair is None) == (arguments is None)
        found = generate.finding_vector(offence.finding) if offence.finding else None
        assert found == vector["finding"]
        if arguments:
            assert (int(offence.kind), offence.slot.hex()) == (arguments.pop("kind"), arguments.pop("slot"))
            assert {name: getattr(offence.pair, name).hex() for name in arguments} == arguments


def test_receipt():
    vectors = load("receipt.json")
    assert receipt.verify_document(vectors["document"]).matches(of_hex(vectors["image"]))


def view_of(document):
    known = View(
        Domain(document["chain_id"], of_hex(document["slashing_contract"])),
        epochs_of(document["epochs"]),
        TaskTerms(document["head_start_ms"], document["life_ms_max"]),
        {int(number): until for number, until in document["settling_until_ms"].items()},
    )
    if "audit_terms" not in document:
        return known
    registrations = registrations_of(document["registrations"])
    return dataclasses.replace(
        known,
        epochs=epochs_of(document["epochs"], registrations),
        past_epochs=epochs_of(document["past_epochs"], registrations),
        audit_terms=AuditTerms(**document["audit_terms"]),
        beacons={int(deadline_ms): block_of(block) for deadline_ms, block in document["beacons"].items()},
        beacons_settling_until_ms=document["beacons_settling_until_ms"],
        newest_block_ms=document["newest_block_ms"],
    )


def epochs_of(documents, registrations=Registrations()):  # noqa: B008 - frozen
    return {
        epoch["number"]: EpochView(
            epoch["number"],
            of_hex(epoch["seed"]),
            snapshot_of(epoch["miners"]),
            snapshot_of(epoch["coordinators"]),
            registrations,
        )
        for epoch in documents
    }


def registrations_of(entries):
    return Registrations.of(
        (of_hex(entry["node"]), of_hex(entry["owner"]), entry["block"]) for entry in entries
    )


def block_of(document):
    return BeaconBlock(document["number"], of_hex(document["hash"]), document["time_ms"])


def outcome_of(seen, view, message):
    data = of_hex(message["data"]).ljust(message.get("padded_to", 0), b"\x00")
    try:
        RULES[message["topic"]](seen, view, data, message["now_ms"])
    except (Contradiction, Misranked) as caught:
        return {
            "expected": "ignore" if isinstance(caught, Contradiction) else "reject",
            "reason": caught.reason,
            "evidence": caught.evidence.encode().hex(),
        }
    except GossipIgnore as ignored:
        return {"expected": "ignore", "reason": ignored.reason}
    except GossipReject as rejected:
        return {"expected": "reject", "reason": rejected.reason}
    return {"expected": "accept"}


@pytest.mark.parametrize("topic", RULES)
def test_rules(topic):
    cases = load(f"rules/{topic}.json")
    assert len({case["name"] for case in cases}) == len(cases) > 15
    for case in cases:
        seen, view = Seen(), view_of(case["view"])
        for message in case["before"]:
            assert outcome_of(seen, view, message) == {"expected": "accept"}, case["name"]
        later = view_of(case["later_view"]) if "later_view" in case else view
        outcome = outcome_of(seen, later, case["message"])
        expected = {name: case[name] for name in ("expected", "reason", "evidence") if name in case}
        assert outcome == expected, case["name"]
