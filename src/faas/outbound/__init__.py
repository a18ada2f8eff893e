"""Outbound requests: HTTP requests that guests make, judged by the allow list of their function."""

from faas.outbound.client import OutboundClient
from faas.outbound.model import Headers, OutboundFailure, OutboundRecord, OutboundRequest, OutboundResponse
from faas.outbound.secret_values import HostSecret
from faas.outbound.session import OutboundSession

__all__ = [
    "Headers",
    "HostSecret",
    "OutboundClient",
    "OutboundFailure",
    "OutboundRecord",
    "OutboundRequest",
    "OutboundResponse",
    "OutboundSession",
]
