"""APK Signature Schemes v2 and v3: EC P-256 with SHA-256 (algorithm 0x0201), signed and verified.

Source: source.android.com, "APK Signature Scheme v2" and "v3".
"""

from __future__ import annotations

import datetime
import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PublicFormat,
    load_der_public_key,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from pocketvlad.artifact import write_bytes
from pocketvlad.errors import PackageError

_ALGORITHM = 0x0201
_V2, _V3, _PADDING = 0x7109871A, 0xF05368C0, 0x42726577
_STRIPPING_PROTECTION = struct.pack("<II", 0xBEEFF00D, 3)  # in v2: "a v3 signature was here"
_MAGIC = b"APK Sig Block 42"
_CHUNK = 1 << 20
_MIN_SDK, _MAX_SDK = 26, 0x7FFFFFFF
DEBUG_PASSWORD = "android"  # the debug key's, by Android's own convention


@dataclass(frozen=True)
class Keys:
    """A private key and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def load_keys(path: Path, password: str | None) -> Keys:
    """Read a PKCS#12 keystore with an EC P-256 key.

    Raises:
        PackageError: unreadable, a wrong password, or another kind of key.
    """
    try:
        secret = password.encode() if password else None
        key, certificate, _ = pkcs12.load_key_and_certificates(path.read_bytes(), secret)
    except (OSError, ValueError) as error:
        raise PackageError(
            f"keystore {path} cannot be opened", found=str(error), do="check --password"
        ) from error
    if (
        not isinstance(key, ec.EllipticCurvePrivateKey)
        or certificate is None
        or key.curve.name != "secp256r1"
    ):
        raise PackageError(
            f"keystore {path} holds another kind of key", allowed="EC P-256 with a certificate"
        )
    return Keys(key, certificate)


def debug_keys(path: Path) -> Keys:
    """The keystore ``path``, made with a new debug key if it is not there."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, _new_keystore(), force=True)
        path.chmod(0o600)
    return load_keys(path, DEBUG_PASSWORD)


def _new_keystore() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pocketvlad debug")])
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=365 * 30))
        .sign(key, hashes.SHA256())
    )
    secret = BestAvailableEncryption(DEBUG_PASSWORD.encode())
    return pkcs12.serialize_key_and_certificates(b"debug", key, certificate, None, secret)


def _prefixed(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


def _digest(sections: Iterable[Iterator[bytes]]) -> bytes:
    """The top digest over the 1 MiB chunks of each section."""
    leaves = [
        hashlib.sha256(b"\xa5" + struct.pack("<I", len(chunk)) + chunk).digest()
        for section in sections
        for chunk in section
    ]
    return hashlib.sha256(b"\x5a" + struct.pack("<I", len(leaves)) + b"".join(leaves)).digest()


def _file_chunks(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    file.seek(start)
    while start < end:
        chunk = file.read(min(_CHUNK, end - start))
        if not chunk:
            raise PackageError("the APK is shorter than it says")
        start += len(chunk)
        yield chunk


def _memory_chunks(data: bytes) -> Iterator[bytes]:
    yield from (data[i : i + _CHUNK] for i in range(0, len(data), _CHUNK))


def _signed_data(digest: bytes, keys: Keys, *, v3: bool) -> bytes:
    certificate = keys.certificate.public_bytes(Encoding.DER)
    data = _prefixed(_prefixed(struct.pack("<I", _ALGORITHM) + _prefixed(digest)))
    data += _prefixed(_prefixed(certificate))
    if v3:
        return data + struct.pack("<II", _MIN_SDK, _MAX_SDK) + _prefixed(b"")
    return data + _prefixed(_prefixed(_STRIPPING_PROTECTION))


def _signer(digest: bytes, keys: Keys, *, v3: bool) -> bytes:
    data = _signed_data(digest, keys, v3=v3)
    signature = keys.key.sign(data, ec.ECDSA(hashes.SHA256()))
    public = keys.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    sdk = struct.pack("<II", _MIN_SDK, _MAX_SDK) if v3 else b""
    signatures = _prefixed(_prefixed(struct.pack("<I", _ALGORITHM) + _prefixed(signature)))
    return _prefixed(_prefixed(_prefixed(data) + sdk + signatures + _prefixed(public)))


def sign_apk(path: Path, keys: Keys) -> None:
    """Insert the signing block into an unsigned APK, in place; the entries must end at a multiple of 4096."""
    with open(path, "r+b") as file:
        directory, end = _find_end(file)
        file.seek(directory)
        tail = file.read()
        central, trailer = tail[: end - directory], bytearray(tail[end - directory :])
        digest = _digest(
            [_file_chunks(file, 0, directory), _memory_chunks(central), _memory_chunks(bytes(trailer))]
        )
        block = _signing_block(digest, keys)
        struct.pack_into("<I", trailer, 16, directory + len(block))
        file.seek(directory)
        file.write(block + central + trailer)


def _signing_block(digest: bytes, keys: Keys) -> bytes:
    pairs = [(_V2, _signer(digest, keys, v3=False)), (_V3, _signer(digest, keys, v3=True))]
    body = b"".join(struct.pack("<QI", len(value) + 4, number) + value for number, value in pairs)
    padding = -(len(body) + 32) % 4096
    padding += 4096 if padding < 12 else 0
    body += struct.pack("<QI", padding - 8, _PADDING) + b"\0" * (padding - 12)
    size = struct.pack("<Q", len(body) + 24)
    return size + body + size + _MAGIC


def _find_end(file: BinaryIO) -> tuple[int, int]:
    """Offsets of the central directory and of its end record."""
    file.seek(0, 2)
    size = file.tell()
    start = max(0, size - 65_557)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < 22:
        raise PackageError("the file is not a ZIP archive")
    return struct.unpack_from("<I", tail, at + 16)[0], start + at


class _Reader:
    """Length-prefixed fields, every length checked."""

    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        if size < 0 or self.at + size > len(self.data):
            raise PackageError("the APK's signature is truncated")
        self.at += size
        return self.data[self.at - size : self.at]

    def u32(self) -> int:
        return struct.unpack("<I", self.take(4))[0]

    def field(self) -> _Reader:
        return _Reader(self.take(self.u32()))


def verify_apk(path: Path) -> tuple[x509.Certificate, tuple[str, ...]]:
    """Check both signatures over every byte.

    Returns:
        The signer's certificate and the schemes found, ``v2`` and ``v3``.

    Raises:
        PackageError: unsigned, tampered with, or signed in a way this checker does not know.
    """
    with open(path, "rb") as file:
        directory, end = _find_end(file)
        block_at, pairs = _read_block(file, directory)
        file.seek(directory)
        tail = file.read()
        central, trailer = tail[: end - directory], bytearray(tail[end - directory :])
        struct.pack_into("<I", trailer, 16, block_at)  # digested as if the block were not there
        sections = [_file_chunks(file, 0, block_at), _memory_chunks(central), _memory_chunks(bytes(trailer))]
        digest = _digest(sections)
    schemes = {"v2": _V2, "v3": _V3}
    missing = [name for name, number in schemes.items() if number not in pairs]
    if missing:
        raise PackageError(
            f"{path} lacks a signature", found=f"no {' and no '.join(missing)}", allowed="v2 and v3"
        )
    certificates = [
        _verify_signer(pairs[number], digest, v3=name == "v3") for name, number in schemes.items()
    ]
    if certificates[0] != certificates[1]:
        raise PackageError(f"{path} has two signers")
    return certificates[0], tuple(schemes)


def _read_block(file: BinaryIO, directory: int) -> tuple[int, dict[int, bytes]]:
    if directory < 32:
        raise PackageError("the APK is not signed")
    file.seek(directory - 24)
    size, magic = struct.unpack("<Q16s", file.read(24))
    if magic != _MAGIC or not 24 <= size <= directory - 8:
        raise PackageError("the APK is not signed")
    start = directory - size - 8
    file.seek(start)
    block = _Reader(file.read(size + 8))
    if struct.unpack("<Q", block.take(8))[0] != size:
        raise PackageError("the APK's signature is truncated")
    pairs: dict[int, bytes] = {}
    while block.at < len(block.data) - 24:
        length = struct.unpack("<Q", block.take(8))[0]
        number = block.u32()
        pairs[number] = block.take(length - 4)
    return start, pairs


def _verify_signer(value: bytes, digest: bytes, *, v3: bool) -> x509.Certificate:
    signer = _Reader(value).field().field()
    signed = signer.field()
    if v3:
        signer.take(8)
    signatures, public = signer.field(), signer.field().data
    first = signatures.field()
    algorithm, signature = first.u32(), first.field().data
    digests = signed.field().field()
    stated_algorithm, stated = digests.u32(), digests.field().data
    certificate = x509.load_der_x509_certificate(signed.field().field().data)
    if algorithm != _ALGORITHM or stated_algorithm != _ALGORITHM:
        raise PackageError(
            "the APK is signed with another algorithm", found=hex(algorithm), allowed=hex(_ALGORITHM)
        )
    if stated != digest:
        raise PackageError("the APK was changed after it was signed")
    key = load_der_public_key(public)
    own = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if own != public or not isinstance(key, ec.EllipticCurvePublicKey):
        raise PackageError("the APK's certificate is not that of its key")
    try:
        key.verify(signature, signed.data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise PackageError("the APK's signature is not that of its key") from error
    return certificate
