"""The flood is of the staking contract's own address, and the contract works on behind it."""

import pytest

from contracts.anvil import run_anvil
from contracts.clients import Clients
from contracts.deploy import DeployParameters, TokenKind, deploy
from contracts.transactions import Sender
from tests.attacks.siege.flood import Flooder

pytestmark = pytest.mark.process
INVENTED, COUNT = 1 << 128, 50


async def test_attack_nodes_read_registrations_and_no_introductions():
    async with run_anvil() as anvil:
        account = anvil.accounts()[0]
        parameters = DeployParameters.for_delay(
            3600, token=TokenKind.DEVELOPMENT, epoch_blocks=60, seed_delay_blocks=2, priority_blocks=16
        )
        deployment = await deploy(anvil.rpc, Sender(anvil.rpc, account), parameters)
        flooder = Flooder(anvil.rpc, deployment.staking)
        await flooder.open()
        await flooder.open()
        node = INVENTED.to_bytes(20, "big")
        await flooder.metadata(node, COUNT, "flood")
        clients = Clients(anvil.rpc, deployment)
        registry = clients.registry()
        await registry.sync()
        assert len(registry) == 0
        assert registry.is_complete
        await flooder.registrations(INVENTED, COUNT)
        await registry.sync()
        assert next(entry.address for entry in registry.nodes()) == node
        assert len(registry) == COUNT
        # Behind the flood, the contract knows of none of them.
        assert await clients.staking.node_info(node) is None
