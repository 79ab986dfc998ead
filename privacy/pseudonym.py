"""Pseudonyms: AES-CMAC of a whole column, one call of the cipher per block position.

The output is bit-identical to RFC 4493 (NIST SP 800-38B) value by value. What makes it fast is that
no Python object exists per value: the column's bytes are laid out as 16-byte blocks by numpy and go
through the cipher together.

References
----------
RFC 4493, section 2.4; NIST SP 800-38B, section 6.2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from numpy.typing import NDArray

from governance.errors import ContractError

BLOCK = 16
PSEUDONYM_TYPE = pa.binary(BLOCK)

_ROWS_AT_ONCE = 32_768
_NOT_LAST = BLOCK + 1

Words = NDArray[np.uint64]


def pseudonymize(values: pa.Array | pa.ChunkedArray, key: bytes) -> pa.Array:
    """Return AES-CMAC of each value's bytes as ``binary(16)``; null stays null.

    Parameters
    ----------
    values : pyarrow.Array or pyarrow.ChunkedArray
        Text (UTF-8 bytes) or binary of any length, any offset width, sliced or not.
    key : bytes
        AES key of 16, 24 or 32 bytes; one key per purpose.

    Raises
    ------
    ContractError
        If the column is neither text nor binary.
    """
    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    engine = _Engine(key)
    parts = [
        _pseudonymize_batch(_as_large_binary(chunk.slice(start, _ROWS_AT_ONCE)), engine)
        for chunk in chunks
        for start in range(0, len(chunk), _ROWS_AT_ONCE)
    ]
    return pa.concat_arrays(parts) if parts else pa.array([], type=PSEUDONYM_TYPE)


def purpose_pseudonym(subject_ids: pa.Array, key: bytes) -> pa.Array:
    """Return the pseudonym of each 16-byte subject id: its one-block AES-CMAC under `key`.

    Because the id fills exactly one block, this is a permutation of the ids, which the holder of
    the key (and nobody else) can undo with `invert`.
    """
    engine = _Engine(key)
    return as_pseudonyms(engine.encrypt(as_words(subject_ids) ^ engine.full), subject_ids)


def invert(pseudonyms: pa.Array, key: bytes) -> pa.Array:
    """Return the subject ids behind pseudonyms made by `purpose_pseudonym` under `key`."""
    engine = _Engine(key)
    return as_pseudonyms(engine.decrypt(as_words(pseudonyms)) ^ engine.full, pseudonyms)


def as_words(values: pa.Array) -> Words:
    """Return a ``binary(16)`` array as words of shape ``(n_rows, 2)``; null rows hold anything."""
    if values.type != PSEUDONYM_TYPE:
        raise ContractError(f"Ids are binary(16); this column is {values.type}.")
    if len(values) == 0:
        return np.zeros((0, 2), dtype=np.uint64)
    data = np.frombuffer(values.buffers()[1], dtype=np.uint8)
    own = data[values.offset * BLOCK : (values.offset + len(values)) * BLOCK]
    return own.view(np.uint64).reshape(-1, 2)


def as_pseudonyms(words: Words, like: pa.Array | None = None) -> pa.Array:
    """Return words of shape ``(n_rows, 2)`` as a ``binary(16)`` array, null where `like` is."""
    validity = None
    if like is not None and like.null_count:
        is_valid = like.is_valid().to_numpy(zero_copy_only=False)
        validity = pa.py_buffer(np.packbits(is_valid, bitorder="little"))
    data = pa.py_buffer(np.ascontiguousarray(words))
    return pa.FixedSizeBinaryArray.from_buffers(PSEUDONYM_TYPE, len(words), [validity, data])


class _Engine:
    """The block cipher with the two subkeys of RFC 4493, and the padding as tables by length."""

    def __init__(self, key: bytes) -> None:
        # ECB is the bare permutation inside CMAC here; no message is encrypted with it.
        self._cipher = Cipher(AES(key), ECB())  # noqa: S305
        zero = np.zeros((1, 2), dtype=np.uint64)
        subkey_1 = _double(self.encrypt(zero).tobytes())
        subkey_2 = _double(subkey_1)
        self.full: Words = np.frombuffer(subkey_1, dtype=np.uint64)
        mask = np.zeros((_NOT_LAST + 1, BLOCK), dtype=np.uint8)
        pad = np.zeros((_NOT_LAST + 1, BLOCK), dtype=np.uint8)
        for length in range(BLOCK):
            mask[length, :length] = 0xFF
            pad[length, length] = 0x80
            pad[length] ^= np.frombuffer(subkey_2, dtype=np.uint8)
        mask[BLOCK:] = 0xFF
        pad[BLOCK] = np.frombuffer(subkey_1, dtype=np.uint8)
        self.mask: Words = mask.view(np.uint64)
        self.pad: Words = pad.view(np.uint64)

    def encrypt(self, blocks: Words) -> Words:
        return _through(self._cipher.encryptor(), blocks)

    def decrypt(self, blocks: Words) -> Words:
        return _through(self._cipher.decryptor(), blocks)


def _through(context: Any, blocks: Words) -> Words:
    source = np.ascontiguousarray(blocks).view(np.uint8).reshape(-1)
    target = np.empty(len(source) + BLOCK - 1, dtype=np.uint8)
    if len(source):
        context.update_into(source, target)
    return target[: len(source)].view(np.uint64).reshape(-1, 2)


def _double(block: bytes) -> bytes:
    """Double `block` in GF(2^128), the subkey step of RFC 4493."""
    number = int.from_bytes(block, "big") << 1
    if number >> 128:
        number = (number & ((1 << 128) - 1)) ^ 0x87
    return number.to_bytes(BLOCK, "big")


def _as_large_binary(values: pa.Array) -> pa.Array:
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _as_large_binary(values.dictionary_decode())
    if pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return values.cast(pa.large_binary())
    if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        return values.view(pa.large_binary())
    raise ContractError(f"Only text or binary can be pseudonymized; this column is {kind}.")


def _pseudonymize_batch(values: pa.Array, engine: _Engine) -> pa.Array:
    rows = len(values)
    _, offset_buffer, data_buffer = values.buffers()
    offsets = np.frombuffer(offset_buffer, dtype=np.int64)
    offsets = offsets[values.offset : values.offset + rows + 1]
    starts, lengths = offsets[:-1] - offsets[0], np.diff(offsets)
    # One block of zeros behind the last value lets every window be read in full.
    data = np.zeros(int(offsets[-1] - offsets[0]) + BLOCK, dtype=np.uint8)
    if data_buffer is not None:
        own = np.frombuffer(data_buffer, dtype=np.uint8)[offsets[0] : offsets[-1]]
        data[: len(own)] = own
    windows = np.ndarray((len(data) - BLOCK + 1,), dtype="V16", buffer=data, strides=(1,))
    state = engine.encrypt(_mixed(windows[starts], lengths, engine))
    active = np.flatnonzero(lengths > BLOCK)
    position = BLOCK
    while len(active):
        left = lengths[active] - position
        block = _mixed(windows[starts[active] + position], left, engine)
        state[active] = engine.encrypt(block ^ state[active])
        active = active[left > BLOCK]
        position += BLOCK
    return as_pseudonyms(state, values)


def _mixed(windows: NDArray[np.void], left: NDArray[np.int64], engine: _Engine) -> Words:
    """Cut each 16-byte window to its value, pad it, and mix in the subkey if it is the last."""
    block = windows.view(np.uint64).reshape(-1, 2)
    # Identifiers mostly have one length, and one row of the tables is cheaper than a row each.
    if len(left) and left.min() == left.max():
        row: Any = min(int(left[0]), _NOT_LAST)
    else:
        row = np.minimum(left, _NOT_LAST)
    mixed = np.empty_like(block)
    for half in (0, 1):
        # Numpy is slow on an axis of two, so the halves are done one after the other.
        mixed[:, half] = (block[:, half] & engine.mask[row, half]) ^ engine.pad[row, half]
    return mixed
