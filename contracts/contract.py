"""One deployed contract: its address, its codec and the connection to its chain.

Is: what `client`'s typed classes stand on.
Is not: typed by itself; nobody outside this package calls it.
"""

from __future__ import annotations

from typing import Any

from contracts.codec import Event, codec_of, revert_from
from contracts.errors import BadChainAnswer, RpcError
from contracts.rpc import Receipt, Rpc
from contracts.transactions import Sender


class Contract:
    """:ivar rpc: the chain. :ivar address: 20 bytes. :ivar codec: of its ABI."""

    def __init__(self, rpc: Rpc, address: bytes, artifact_name: str) -> None:
        self.rpc = rpc
        self.address = address
        self.codec = codec_of(artifact_name)

    async def read(self, name: str, *arguments: Any) -> Any:
        """Call a view function: its one return value, or a tuple of several.

        :raises ContractReverted: it said no.
        """
        try:
            data = await self.rpc.call(self.address, self.codec.encode_call(name, *arguments))
        except RpcError as error:
            if error.data is None:
                raise
            raise revert_from(error.data) from error
        values = self.codec.decode_result(name, data)
        return values[0] if len(values) == 1 else values

    async def transact(self, sender: Sender, name: str, *arguments: Any) -> Receipt:
        """Call a function in a transaction. :raises ContractReverted: it said no."""
        return await sender.send(self.address, self.codec.encode_call(name, *arguments))

    def event(self, receipt: Receipt, name: str) -> Event:
        """The one event of this name that this contract has emitted in a transaction.

        :raises BadChainAnswer: there is none: the contract is not the one we think.
        """
        for log in receipt.logs:
            if log.address == self.address and (event := self.codec.decode_event(log)) and event.name == name:
                return event
        raise BadChainAnswer(name, "the transaction has not emitted this event")
