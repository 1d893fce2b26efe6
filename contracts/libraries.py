"""The Ethereum libraries that the client is written on: web3, eth-account and eth-abi, imported here alone.

Is: the one door through which they come. ``py_ecc``, which they bring along, raises the recursion limit of
the whole process; here it is put back (see `recursion`). They take about a second to import, so what names
this module at its top pays for them when it is imported itself, and never inside of a running event loop.
Is not: a layer over them. What a name means is in the libraries' own documentation.
"""

from __future__ import annotations

from contracts.recursion import kept_recursion_limit

with kept_recursion_limit():
    from eth_abi.abi import decode as decode_abi
    from eth_abi.codec import ABICodec
    from eth_abi.decoding import StringDecoder
    from eth_abi.exceptions import DecodingError, EncodingError
    from eth_abi.registry import ABIRegistry
    from eth_abi.registry import registry as abi_registry
    from eth_account import Account as EthAccount
    from eth_account.datastructures import SignedTransaction
    from eth_account.messages import SignableMessage, encode_typed_data
    from eth_account.signers.local import LocalAccount
    from eth_typing import ABIEvent, BlockNumber, HexStr
    from web3 import AsyncWeb3, Web3
    from web3.exceptions import BlockNotFound, TransactionNotFound, Web3Exception
    from web3.logs import DISCARD
    from web3.middleware import ExtraDataToPOAMiddleware
    from web3.providers.async_base import AsyncJSONBaseProvider
    from web3.types import EventData, LogReceipt, Nonce, RPCEndpoint, RPCResponse, TxParams, Wei
    from web3.utils import (
        event_abi_to_log_topic,
        function_abi_to_4byte_selector,
        get_abi_input_types,
        get_create_address,
    )

__all__ = [
    "DISCARD",
    "ABICodec",
    "ABIEvent",
    "ABIRegistry",
    "AsyncJSONBaseProvider",
    "AsyncWeb3",
    "BlockNotFound",
    "BlockNumber",
    "DecodingError",
    "EncodingError",
    "EthAccount",
    "EventData",
    "ExtraDataToPOAMiddleware",
    "HexStr",
    "LocalAccount",
    "LogReceipt",
    "Nonce",
    "RPCEndpoint",
    "RPCResponse",
    "SignableMessage",
    "SignedTransaction",
    "StringDecoder",
    "TransactionNotFound",
    "TxParams",
    "Web3",
    "Web3Exception",
    "Wei",
    "abi_registry",
    "decode_abi",
    "encode_typed_data",
    "event_abi_to_log_topic",
    "function_abi_to_4byte_selector",
    "get_abi_input_types",
    "get_create_address",
]
