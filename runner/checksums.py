"""Checksums of what is stored: a stored answer is taken only if it is what was written.

CRC-32 finds bits that flipped and blocks that were lost or zeroed, at a hundredth of what a request costs.
Changes made on purpose are not what it is for.
"""

from __future__ import annotations

import zlib

import msgspec

from runner.values import decode_response


def checksum(key: bytes, content: bytes) -> int:
    """Return what is stored beside the *content* of a *key*."""
    return zlib.crc32(content, zlib.crc32(key))


def intact(key: object, response: object, stored: int | None) -> bool:
    """Tell whether a response is as it was stored; of one without a checksum, whether it is a response."""
    if not isinstance(key, bytes) or not isinstance(response, bytes):
        return False
    return _is_response(response) if stored is None else stored == checksum(key, response)


def _is_response(data: bytes) -> bool:
    try:
        decode_response(data)
    except msgspec.DecodeError:
        return False
    return True
