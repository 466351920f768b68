"""The proof that a new signing key follows an old one, so that a phone takes an update signed with the new one.

Source: source.android.com, "APK Signature Scheme v3", proof-of-rotation.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

ATTRIBUTE = 0x3BA06F8C  # its number among those of a v3 signer
VERSION = 1
# what the system goes on trusting an old certificate with, as its own tool has it by default: the app's data, shared
# user id, permissions and authentication; not a return to the old key
_TRUSTED = 1 | 2 | 4 | 16


class Signer(Protocol):
    """A key with its certificate; :class:`.signing.Keys` is one."""

    @property
    def certificate(self) -> x509.Certificate:
        """Of the key."""

    @property
    def algorithm(self) -> int:
        """Android's number of the signature algorithm."""

    def sign(self, data: bytes) -> bytes:
        """The signature of ``data``."""


def prefixed(data: bytes) -> bytes:
    """After its length."""
    return struct.pack("<I", len(data)) + data


def attribute(chain: Sequence[Signer]) -> bytes:
    """The attribute of a v3 signer whose key follows others; nothing for a single key.

    Args:
        chain: keys, the oldest first; each signs the certificate of the next.
    """
    if len(chain) < 2:
        return b""
    levels = b""
    before: Signer | None = None
    for number, keys in enumerate(chain):
        certificate = prefixed(keys.certificate.public_bytes(Encoding.DER))
        signed = certificate + struct.pack("<I", before.algorithm if before else 0)
        next_algorithm = keys.algorithm if number + 1 < len(chain) else 0
        signature = before.sign(signed) if before else b""
        levels += prefixed(
            prefixed(signed) + struct.pack("<II", _TRUSTED, next_algorithm) + prefixed(signature)
        )
        before = keys
    return prefixed(struct.pack("<II", ATTRIBUTE, VERSION) + levels)
