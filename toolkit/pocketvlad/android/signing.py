"""APK Signature Schemes v2 and v3 with SHA-256: keys, digests, the signing block. :mod:`.verify` checks them.

Source: source.android.com, "APK Signature Scheme v2" and "v3".
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import struct
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PublicFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from pocketvlad.android.lineage import attribute, prefixed
from pocketvlad.core.cache import cache_root
from pocketvlad.errors import ArtifactError, PackageError
from pocketvlad.given import require_ordinary
from pocketvlad.unfinished import part_prefix, remove_leftovers

EC_P256, RSA_PKCS1 = 0x0201, 0x0103  # with SHA-256
V2, V3 = 0x7109871A, 0xF05368C0  # identifiers of the signing block's parts
MAGIC = b"APK Sig Block 42"
DEBUG_PASSWORD = "android"  # the debug key's, by Android's own convention
_STRIPPING_PROTECTION = struct.pack("<II", 0xBEEFF00D, 3)  # in v2: "a v3 signature was here"
_CHUNK = 1 << 20
_MIN_SDK, _MAX_SDK = 26, 0x7FFFFFFF
_LARGEST_KEYSTORE = 4_000_000  # bytes
_OLD_JAVA_KEYSTORE = b"\xfe\xed\xfe\xed"


@dataclass(frozen=True)
class Keys:
    """A private key and its certificate.

    Attributes:
        earlier: those that signed earlier versions of the app, the oldest first.
    """

    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    certificate: x509.Certificate
    earlier: tuple[Keys, ...] = ()

    @property
    def algorithm(self) -> int:
        """Android's number of the signature algorithm."""
        return RSA_PKCS1 if isinstance(self.key, rsa.RSAPrivateKey) else EC_P256

    def sign(self, data: bytes) -> bytes:
        """The signature over SHA-256 of ``data``."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(data, ec.ECDSA(hashes.SHA256()))


def load_keys(path: Path, password: str | None) -> Keys:
    """Read a PKCS#12 keystore with an EC P-256 key or, as Android Studio makes them, an RSA key.

    Raises:
        PackageError: unreadable, a wrong password, or another kind of keystore or key.
    """
    require_ordinary(path, PackageError)
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_KEYSTORE + 1)
    except OSError as error:
        raise PackageError(f"keystore {path} cannot be opened", found=error.strerror) from error
    if len(data) > _LARGEST_KEYSTORE:
        raise PackageError(f"keystore {path} is too large", allowed=f"{_LARGEST_KEYSTORE:,} bytes")
    if data.startswith(_OLD_JAVA_KEYSTORE):
        raise PackageError(
            f"keystore {path} is of Java's old kind",
            allowed="PKCS#12",
            do=f"keytool -importkeystore -srckeystore {path} -destkeystore K.p12 -deststoretype pkcs12",
        )
    try:
        secret = password.encode() if password else None
        key, certificate, _ = pkcs12.load_key_and_certificates(data, secret)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise PackageError(
            f"keystore {path} cannot be opened", found=str(error), do="check the password"
        ) from error
    kinds = (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)
    if not isinstance(key, kinds) or not _strong(key) or certificate is None:
        raise PackageError(
            f"keystore {path} holds another kind of key",
            allowed="EC P-256, or RSA of 2048 bits or more, with a certificate",
        )
    return Keys(key, certificate)


def _strong(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bool:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.curve.name == "secp256r1"
    return key.key_size >= 2048


def successor(keys: Keys, earlier: Sequence[Keys]) -> Keys:
    """Keys whose APKs a phone takes as updates of those that earlier keys signed, the oldest first.

    A phone of Android 9 and later follows the change; for Android 8 the oldest key signs as well.

    Raises:
        PackageError: a key twice.
    """
    chain = [*earlier, keys]
    if len({one.certificate.fingerprint(hashes.SHA256()) for one in chain}) < len(chain):
        raise PackageError("a key cannot follow itself", do="name the keystores of earlier keys alone")
    return replace(keys, earlier=tuple(earlier))


def default_keystore() -> Path:
    """Where the debug key is kept: in the user's configuration, since a phone takes updates of one key only."""
    root = os.environ.get("XDG_CONFIG_HOME")
    return (Path(root) if root else Path.home() / ".config") / "pocketvlad" / "debug.p12"


def default_keys() -> Keys:
    """The user's debug key; one that an earlier version left in the cache is moved to its place first.

    Raises:
        ArtifactError, PackageError: as :func:`debug_keys`.
    """
    path, old = default_keystore(), cache_root() / "debug.keystore"
    if old.is_file() and not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _create(path, old.read_bytes())
            old.unlink()
        except OSError as error:
            raise ArtifactError(f"cannot move keystore {old} to {path}", found=error.strerror) from error
    return debug_keys(path)


def debug_keys(path: Path) -> Keys:
    """The keystore ``path``, made with a new debug key if it is not there; only its owner may read it.

    Raises:
        ArtifactError: it cannot be written.
        PackageError: what is there is no keystore of ours.
    """
    try:
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            remove_leftovers(path.parent, path.name)
            _create(path, _new_keystore())
    except OSError as error:
        raise ArtifactError(
            f"cannot write keystore {path}",
            found=error.strerror,
            do="set XDG_CONFIG_HOME to a folder of yours, or name a keystore",
        ) from error
    return load_keys(path, DEBUG_PASSWORD)


def _create(path: Path, data: bytes) -> None:
    """Write a whole file, unless another process was first: then its key is the key."""
    handle, temporary = tempfile.mkstemp(
        prefix=part_prefix(path.name), suffix=".part", dir=path.parent
    )  # mode 600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        Path(temporary).unlink()


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


def sign_apk(path: Path, keys: Keys) -> None:
    """Insert the signing block before the central directory of an unsigned APK, in place."""
    with open(path, "r+b") as file:
        directory, end = find_directory(file)
        file.seek(directory)
        tail = file.read()
        central, trailer = tail[: end - directory], bytearray(tail[end - directory :])
        block = _signing_block(apk_digest(file, directory, central, bytes(trailer)), keys)
        struct.pack_into("<I", trailer, 16, directory + len(block))
        file.seek(directory)
        file.write(block + central + trailer)


def find_directory(file: BinaryIO) -> tuple[int, int]:
    """Offsets of a ZIP's central directory and of its end record; PackageError when there is none."""
    size = file.seek(0, os.SEEK_END)
    start = max(0, size - 65_557)  # the end record and the longest comment
    file.seek(start)
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or len(tail) - at < 22:
        raise PackageError("the file is not a ZIP archive")
    directory, end = struct.unpack_from("<I", tail, at + 16)[0], start + at
    if directory > end:
        raise PackageError("the file is a damaged ZIP archive")
    return directory, end


def apk_digest(file: BinaryIO, entries: int, central: bytes, trailer: bytes) -> bytes:
    """The digest that is signed, over 1 MiB chunks of the three sections of an APK.

    Args:
        file: the APK.
        entries: bytes at its start, up to the signing block.
        central: the central directory.
        trailer: the end record as if the signing block were not there.
    """
    leaves = [
        hashlib.sha256(b"\xa5" + struct.pack("<I", len(chunk)) + chunk).digest()
        for chunk in _chunks(file, entries, [central, trailer])
    ]
    return hashlib.sha256(b"\x5a" + struct.pack("<I", len(leaves)) + b"".join(leaves)).digest()


def _chunks(file: BinaryIO, entries: int, others: Iterable[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while entries:
        chunk = file.read(min(_CHUNK, entries))
        if not chunk:
            raise PackageError("the APK is shorter than it says")
        entries -= len(chunk)
        yield chunk
    for data in others:
        yield from (data[i : i + _CHUNK] for i in range(0, len(data), _CHUNK))


def _signing_block(digest: bytes, keys: Keys) -> bytes:
    oldest = (*keys.earlier, keys)[0]
    pairs = [(V2, _signer(digest, oldest, v3=False)), (V3, _signer(digest, keys, v3=True))]
    body = b"".join(struct.pack("<QI", len(value) + 4, number) + value for number, value in pairs)
    size = struct.pack("<Q", len(body) + 24)
    return size + body + size + MAGIC


def _signed_data(digest: bytes, keys: Keys, *, v3: bool) -> bytes:
    certificate = keys.certificate.public_bytes(Encoding.DER)
    data = prefixed(prefixed(struct.pack("<I", keys.algorithm) + prefixed(digest)))
    data += prefixed(prefixed(certificate))
    if v3:
        return data + struct.pack("<II", _MIN_SDK, _MAX_SDK) + prefixed(attribute([*keys.earlier, keys]))
    return data + prefixed(prefixed(_STRIPPING_PROTECTION))


def _signer(digest: bytes, keys: Keys, *, v3: bool) -> bytes:
    data = _signed_data(digest, keys, v3=v3)
    public = keys.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    sdk = struct.pack("<II", _MIN_SDK, _MAX_SDK) if v3 else b""
    signatures = prefixed(prefixed(struct.pack("<I", keys.algorithm) + prefixed(keys.sign(data))))
    return prefixed(prefixed(prefixed(data) + sdk + signatures + prefixed(public)))
