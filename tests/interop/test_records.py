"""Signed peer records: js-libp2p's own code reads ours, and we read what it seals."""

import json
import subprocess

import pytest
from multiaddr import Multiaddr

from p2p.identity import peer_id_from_secret
from p2p.records import open_record, seal_record
from tests.interop.peer import FOLDER
from tests.p2p.nodes import secret

pytestmark = pytest.mark.process


def test_records__are_read_both_ways():
    ours = seal_record(secret(1), 7, [Multiaddr("/ip4/8.8.8.8/tcp/4001")])
    command = ["node", "js/records.js", ours.envelope.hex(), secret(2).hex()]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["peer"], said["sequence"]) == (str(ours.peer), 7)
    assert said["addresses"] == ["/ip4/8.8.8.8/tcp/4001"]
    theirs = open_record(bytes.fromhex(said["sealed"]))
    assert (theirs.peer, theirs.sequence) == (peer_id_from_secret(secret(2)), 12)
    assert theirs.addresses == (Multiaddr(f"/ip4/8.8.8.8/tcp/4001/p2p/{theirs.peer}"),)
