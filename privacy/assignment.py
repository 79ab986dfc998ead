"""The keyed draw that says which customers are sealed away, held out or explored.

The draw has keys of its own, apart from every pseudonym key, so that no re-keying reshuffles who is
in which part. Bit 0 says whether a customer is sealed, and is the same in every purpose; bits 1-31
belong to the purpose, because a 32-bit number that two tables share would join them.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from governance.contract import Purpose
from privacy.keyring import Keyring
from privacy.pseudonym import as_words, purpose_pseudonym

SEALED_SHARE = 0.20
HOLD_OUT_SHARE = 0.05
EXPLORE_SHARE = 0.05


class Arm(StrEnum):
    """What a decision does with a customer."""

    POLICY = "policy"
    HOLD_OUT = "hold_out"
    EXPLORE = "explore"


def keys(keyring: Keyring, purpose: Purpose) -> tuple[bytes, bytes]:
    """Return the key of the split and the key of the purpose's own bits."""
    return (
        keyring.derive_lasting("assignment"),
        keyring.derive_lasting("assignment", purpose.value),
    )


def draw(subject_ids: pa.Array, key: tuple[bytes, bytes]) -> pa.Array:
    """Return the assignment of each 16-byte subject id as ``uint32``, shape ``(n_rows,)``."""
    split, own = (_uniform(subject_ids, part) for part in key)
    is_in_seal = split < np.uint64(round(SEALED_SHARE * 2**32))
    return pa.array((own & 0xFFFF_FFFE | is_in_seal).astype(np.uint32))


def is_sealed(assignment: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Tell which customers are kept from training; a share of 20 %."""
    return pc.equal(pc.bit_wise_and(assignment, pa.scalar(1, pa.uint32())), 1)


def arm(assignment: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return the arm of each customer as text, from bits that the seal does not use."""
    place = pc.shift_right(assignment, pa.scalar(16, pa.uint32()))
    explore_from = round((1 - EXPLORE_SHARE) * 2**16)
    hold_out_from = round((1 - EXPLORE_SHARE - HOLD_OUT_SHARE) * 2**16)
    return pc.if_else(
        pc.greater_equal(place, explore_from),
        Arm.EXPLORE.value,
        pc.if_else(pc.greater_equal(place, hold_out_from), Arm.HOLD_OUT.value, Arm.POLICY.value),
    )


def _uniform(subject_ids: pa.Array, key: bytes) -> NDArray[np.uint64]:
    """Return 32 uniform bits per subject id."""
    return as_words(purpose_pseudonym(subject_ids, key))[:, 0] & np.uint64(0xFFFF_FFFF)
