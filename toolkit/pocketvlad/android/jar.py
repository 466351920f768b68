"""JAR signatures with SHA-256, which bundles have; APKs have others (:mod:`.signing`).

Source: Oracle, "JAR File Specification", signed JAR files.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from pocketvlad.android.signing import Keys

_LINE = 70  # bytes of a line before its end, 72 with it
_SIGNER = "META-INF/UPLOAD"


def signature_files(contents: Mapping[str, bytes], keys: Keys) -> dict[str, bytes]:
    """The files of ``META-INF`` that sign a JAR's entries, by name, in the order they stand in.

    Args:
        contents: every entry.
        keys: that sign.
    """
    sections = {name: _section(name, data) for name, data in contents.items()}
    manifest = b"Manifest-Version: 1.0\r\n\r\n" + b"".join(sections.values())
    signed = b"Signature-Version: 1.0\r\n" + _digest("SHA-256-Digest-Manifest", manifest) + b"\r\n"
    signed += b"".join(_section(name, section) for name, section in sections.items())
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
    builder = pkcs7.PKCS7SignatureBuilder().set_data(signed)
    block = builder.add_signer(keys.certificate, keys.key, hashes.SHA256()).sign(Encoding.DER, options)
    kind = "RSA" if isinstance(keys.key, rsa.RSAPrivateKey) else "EC"
    return {"META-INF/MANIFEST.MF": manifest, f"{_SIGNER}.SF": signed, f"{_SIGNER}.{kind}": block}


def _section(name: str, data: bytes) -> bytes:
    return _wrapped(f"Name: {name}") + _digest("SHA-256-Digest", data) + b"\r\n"


def _digest(key: str, data: bytes) -> bytes:
    return _wrapped(f"{key}: {base64.b64encode(hashlib.sha256(data).digest()).decode()}")


def _wrapped(line: str) -> bytes:
    """A line, the rest of a long one on lines that begin with a space."""
    data = line.encode()
    parts = [data[:_LINE]] + [data[i : i + _LINE - 1] for i in range(_LINE, len(data), _LINE - 1)]
    return b"\r\n ".join(parts) + b"\r\n"
