"""Checks APK Signature Schemes v2 and v3: every byte of the file is signed, or has the one value it may have.

Source: source.android.com, "APK Signature Scheme v2" and "v3".
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from pocketvlad.android.lineage import ATTRIBUTE, VERSION
from pocketvlad.android.signing import EC_P256, MAGIC, RSA_PKCS1, V2, V3, apk_digest, find_directory
from pocketvlad.errors import PackageError

SCHEMES = ("v2", "v3")


def verify_apk(path: Path) -> x509.Certificate:
    """Check both signatures over every byte.

    Returns:
        The signer's certificate.

    Raises:
        PackageError: unsigned, changed since, or signed in a way this project does not sign.
    """
    try:
        with open(path, "rb") as file:
            directory, end = find_directory(file)
            start, pairs = _read_block(file, directory)
            file.seek(directory)
            tail = file.read()
            central, trailer = tail[: end - directory], bytearray(tail[end - directory :])
            struct.pack_into("<I", trailer, 16, start)
            digest = apk_digest(file, start, central, bytes(trailer))
        first, _ = _verify_signer(pairs[V2], digest, v3=False)
        last, attributes = _verify_signer(pairs[V3], digest, v3=True)
        lineage = _lineage(attributes) or [last]
    except PackageError as error:
        raise PackageError(f"{path}: {error.what}", found=error.found, allowed=error.allowed) from error
    except OSError as error:
        raise PackageError(f"{path} cannot be read", found=error.strerror) from error
    if (first, last) != (lineage[0], lineage[-1]):
        raise PackageError(f"{path}: v2 and v3 have different signers")
    return last


class _Reader:
    """Length-prefixed fields, every length checked."""

    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise PackageError("the signature is truncated")
        self.at += size
        return self.data[self.at - size : self.at]

    def u32(self) -> int:
        return struct.unpack("<I", self.take(4))[0]

    def u64(self) -> int:
        return struct.unpack("<Q", self.take(8))[0]

    def field(self) -> _Reader:
        return _Reader(self.take(self.u32()))

    def only(self) -> _Reader:
        """The one element of a sequence."""
        element = self.field()
        self.end()
        return element

    def end(self) -> None:
        if self.at != len(self.data):
            raise PackageError("the signature holds more than one signer's")


def _read_block(file: BinaryIO, directory: int) -> tuple[int, dict[int, bytes]]:
    """Where the signing block starts, and its parts by number."""
    if directory < 32:
        raise PackageError("the APK is not signed")
    file.seek(directory - 24)
    size, magic = struct.unpack("<Q16s", file.read(24))
    if magic != MAGIC or not 24 <= size <= directory - 8:
        raise PackageError("the APK is not signed")
    start = directory - size - 8
    file.seek(start)
    block = _Reader(file.read(size - 16))
    if block.u64() != size:
        raise PackageError("the signature is truncated")
    pairs = {}
    for number, name in ((V2, "v2"), (V3, "v3")):
        part = _Reader(block.take(block.u64()))
        if part.u32() != number:
            raise PackageError("the signing block is not one of ours", found=f"something else than {name}")
        pairs[number] = part.data[4:]
    block.end()
    return start, pairs


def _lineage(attributes: _Reader) -> list[x509.Certificate]:
    """The certificates of a v3 signer's proof of rotation, each signed by the one before; none without."""
    if attributes.at == len(attributes.data):
        return []
    proof = attributes.only()
    if (proof.u32(), proof.u32()) != (ATTRIBUTE, VERSION):
        raise PackageError("the signature has an attribute that is none of ours")
    certificates: list[x509.Certificate] = []
    algorithm = 0
    while proof.at < len(proof.data):
        level = proof.field()
        signed = level.field()
        _, following = level.u32(), level.u32()
        signature = level.field().data
        level.end()
        if certificates:
            public = certificates[-1].public_key()
            der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            _verify_bytes(der, algorithm, signature, signed.data)
        certificates.append(x509.load_der_x509_certificate(signed.field().data))
        if signed.u32() != algorithm:
            raise PackageError("the signature names two algorithms")
        algorithm = following
    return certificates


def _verify_signer(value: bytes, digest: bytes, *, v3: bool) -> tuple[x509.Certificate, _Reader]:
    """The signer's certificate, and its attributes."""
    signers = _Reader(value)
    signer = signers.only().only()
    signed = signer.field()
    levels = signer.take(8) if v3 else b""
    signature = signer.field().only()
    public = signer.field().data
    signer.end()
    algorithm = signature.u32()
    signature_bytes = signature.field().data
    signature.end()
    _verify_bytes(public, algorithm, signature_bytes, signed.data)  # first: what is signed can be believed
    certificate = _verify_digest(signed, algorithm, digest)
    if v3 and signed.take(8) != levels:
        raise PackageError("the APK was changed after it was signed", found="other SDK levels")
    own = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if own != public:
        raise PackageError("the certificate is not that of the signing key")
    return certificate, signed.field()


def _verify_digest(signed: _Reader, algorithm: int, digest: bytes) -> x509.Certificate:
    """The certificate, after the signed digest was found to be this APK's."""
    stated = signed.field().only()
    if stated.u32() != algorithm:
        raise PackageError("the signature names two algorithms")
    if stated.field().data != digest:
        raise PackageError("the APK was changed after it was signed")
    return x509.load_der_x509_certificate(signed.field().only().data)


def _verify_bytes(public: bytes, algorithm: int, signature: bytes, data: bytes) -> None:
    try:
        key = load_der_public_key(public)
        if algorithm == EC_P256 and isinstance(key, ec.EllipticCurvePublicKey):
            return key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
        if algorithm == RSA_PKCS1 and isinstance(key, rsa.RSAPublicKey):
            return key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, UnsupportedAlgorithm, ValueError) as error:
        raise PackageError(
            "the APK was changed after it was signed", found="a signature of another"
        ) from error
    raise PackageError(
        "the APK is signed with another algorithm", found=hex(algorithm), allowed="EC P-256 or RSA, SHA-256"
    )
