"""The life of a model version: the one import for the rooms that call the registry.

submit (`registry.submission`) → attest → gate → waive → approve → promote → reconcile, with
findings and heartbeats alongside. Each word is a function here and a module of its own below.
"""

from registry.approval import approve
from registry.attachment import attach
from registry.attestation import attest
from registry.exemption import WaiverRequest, waive
from registry.finding import (
    close_finding,
    last_heartbeat,
    open_finding,
    open_findings,
    record_heartbeat,
)
from registry.judgement import adopt, gate, read_appetite
from registry.promotion import promote
from registry.reconciliation import reconcile
from registry.status import status

__all__ = [
    "WaiverRequest",
    "adopt",
    "approve",
    "attach",
    "attest",
    "close_finding",
    "gate",
    "last_heartbeat",
    "open_finding",
    "open_findings",
    "promote",
    "read_appetite",
    "reconcile",
    "record_heartbeat",
    "status",
    "waive",
]
