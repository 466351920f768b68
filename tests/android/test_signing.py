"""Signatures: accepted by Android's own checker, and broken by any change of any byte."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, NoEncryption, pkcs12
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pocketvlad.android import signing
from pocketvlad.android.apk import TEMPLATE
from pocketvlad.android.lineage import ATTRIBUTE
from pocketvlad.android.verify import verify_apk
from pocketvlad.errors import ArtifactError, PackageError

needs_apksigner = pytest.mark.skipif(
    not shutil.which("apksigner"), reason="no apksigner: apt-get install apksigner"
)


def write_keystore(path: Path, key, password: bytes | None = b"secret") -> Path:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a shop")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    path.write_bytes(pkcs12.serialize_key_and_certificates(b"k", key, certificate, None, encryption))
    return path


def write_apk(path: Path, content: int = 100) -> Path:
    """An unsigned APK with ``content`` bytes beside the template's entries."""
    with zipfile.ZipFile(TEMPLATE) as template, zipfile.ZipFile(path, "w") as apk:
        apk.writestr("AndroidManifest.xml", template.read("AndroidManifest.xml"))
        apk.writestr("data.bin", bytes(i % 251 for i in range(content)))
    return path


def apksigner(path: Path, *options: str) -> str:
    command = [
        "apksigner",
        "verify",
        "--verbose",
        "--print-certs",
        "--min-sdk-version",
        "26",
        *options,
        str(path),
    ]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> signing.Keys:
    return signing.debug_keys(tmp_path_factory.mktemp("keys") / "debug.p12")


@pytest.fixture(scope="module")
def signed(tmp_path_factory, keys) -> bytes:
    path = write_apk(tmp_path_factory.mktemp("signed") / "a.apk")
    signing.sign_apk(path, keys)
    return path.read_bytes()


@needs_apksigner
@pytest.mark.parametrize("content", [100, 2**20, 3 * 2**20 + 1])
def test_apksigner_accepts_both_schemes(tmp_path, keys, content):
    path = write_apk(tmp_path / "a.apk", content)
    signing.sign_apk(path, keys)
    said = apksigner(path)
    assert "(APK Signature Scheme v2): true" in said and "(APK Signature Scheme v3): true" in said
    assert "CN=pocketvlad debug" in said
    assert verify_apk(path) == keys.certificate


@pytest.fixture(scope="module")
def rotated(tmp_path_factory, keys) -> tuple[Path, list[signing.Keys]]:
    """An APK signed by a third key that follows an RSA key, which followed the first."""
    folder = tmp_path_factory.mktemp("rotated")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    shop = signing.load_keys(write_keystore(folder / "shop.p12", key), "secret")
    chain = [keys, shop, signing.debug_keys(folder / "new.p12")]
    path = write_apk(folder / "a.apk")
    signing.sign_apk(path, signing.successor(chain[2], chain[:2]))
    return path, chain


@needs_apksigner
def test_apksigner_follows_a_change_of_keys(rotated):
    path, chain = rotated
    lineage = subprocess.run(
        ["apksigner", "lineage", "--in", str(path), "--print-certs"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = re.findall(r"Signer #\d+ in lineage certificate SHA-256 digest: (\w+)", lineage)
    assert found == [one.certificate.fingerprint(hashes.SHA256()).hex() for one in chain]
    assert verify_apk(path) == chain[2].certificate
    for levels, signer in (
        (("26", "27"), chain[0]),
        (("28", "36"), chain[2]),
    ):  # Android 8 knows the first key alone
        said = apksigner(path, "--min-sdk-version", levels[0], "--max-sdk-version", levels[1])
        assert signer.certificate.fingerprint(hashes.SHA256()).hex() in said


def test_every_changed_byte_of_a_lineage_is_found(tmp_path, rotated):
    data = rotated[0].read_bytes()
    start = data.index(struct.pack("<I", ATTRIBUTE)) - 4
    path = tmp_path / "a.apk"
    for at in range(start, start + 1500, 7):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        with pytest.raises(PackageError):
            verify_apk(path)


def test_a_lineage_of_other_keys_is_refused(tmp_path, keys, rotated):
    """A chain that does not begin with the key of v2, or names a key twice."""
    _, (first, shop, last) = rotated
    path = write_apk(tmp_path / "a.apk")
    stranger = replace(
        last, earlier=(replace(shop, certificate=first.certificate),)
    )  # signs for a key it has not
    signing.sign_apk(path, stranger)
    with pytest.raises(PackageError):
        verify_apk(path)
    with pytest.raises(PackageError, match="a key cannot follow itself"):
        signing.successor(last, [first, last])


@needs_apksigner
def test_a_shops_rsa_key_signs_too(tmp_path):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    store = write_keystore(tmp_path / "shop.p12", key)
    path = write_apk(tmp_path / "a.apk")
    signing.sign_apk(path, signing.load_keys(store, "secret"))
    assert "CN=a shop" in apksigner(path)
    assert verify_apk(path).subject.rfc4514_string() == "CN=a shop"


def test_a_signed_apk_is_still_a_zip_with_the_same_entries(tmp_path, signed):
    path = tmp_path / "a.apk"
    path.write_bytes(signed)
    with zipfile.ZipFile(path) as apk:
        assert apk.testzip() is None
        assert apk.read("data.bin") == bytes(range(100))


def test_every_changed_byte_is_found(tmp_path, signed):
    """All of the signing block; elsewhere every 7th."""
    block = signed.index(b"\x1a\x87\x09\x71") - 16  # before the first part's length and number
    close = range(block, signed.index(b"PK\1\2"))
    path = tmp_path / "a.apk"
    for at in sorted({*close, *range(0, len(signed), 7), *range(len(signed) - 30, len(signed))}):
        changed = bytearray(signed)
        changed[at] ^= 0x10
        path.write_bytes(changed)
        with pytest.raises(PackageError) as caught:
            verify_apk(path)
        assert "\n" not in str(caught.value)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0), count=st.integers(1, 5000), insert=st.binary(max_size=40))
def test_cut_and_pasted_files_are_refused_in_one_line(tmp_path, signed, at, count, insert):
    at %= len(signed)
    changed = signed[:at] + insert + signed[at + count :]
    if changed == signed:
        return
    path = tmp_path / "a.apk"
    path.write_bytes(changed)
    with pytest.raises(PackageError):
        verify_apk(path)


def test_only_the_signatures_differ_between_two_signings(tmp_path, keys):
    contents = []
    for name in ("a.apk", "b.apk"):
        signing.sign_apk(write_apk(tmp_path / name), keys)
        contents.append((tmp_path / name).read_bytes())
    starts = [data.index(b"\x1a\x87\x09\x71") - 16 for data in contents]
    assert contents[0][: starts[0] - 8] == contents[1][: starts[1] - 8]  # up to the block's length
    directories = [data[data.index(b"PK\1\2") : -6] for data in contents]  # an end record ends in its place
    assert directories[0] == directories[1]


def test_unsigned_and_other_files_are_one_line(tmp_path):
    plain = write_apk(tmp_path / "a.apk")
    with pytest.raises(PackageError, match=r"a\.apk: the APK is not signed"):
        verify_apk(plain)
    plain.write_bytes(b"nothing")
    with pytest.raises(PackageError, match="not a ZIP archive"):
        verify_apk(plain)
    with pytest.raises(PackageError, match="cannot be read; found No such file"):
        verify_apk(tmp_path / "none.apk")


def test_the_debug_key_is_made_once(tmp_path):
    path = tmp_path / "config" / "debug.p12"
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: signing.debug_keys(path), range(8)))
    assert len({keys.certificate for keys in made}) == 1
    assert path.stat().st_mode & 0o077 == 0
    assert [entry.name for entry in path.parent.iterdir()] == ["debug.p12"]


def test_the_debug_key_is_kept_in_the_users_configuration(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert signing.default_keystore() == tmp_path / "pocketvlad/debug.p12"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert signing.default_keystore() == Path.home() / ".config/pocketvlad/debug.p12"


def test_a_key_left_in_the_cache_moves_over(monkeypatch, tmp_path):
    """Installed apps take updates of that key only."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    old = tmp_path / "cache/pocketvlad/debug.keystore"
    before = signing.debug_keys(old).certificate
    assert signing.default_keys().certificate == before
    assert not old.exists()
    shutil.rmtree(tmp_path / "cache")  # whoever clears the cache keeps the key
    assert signing.default_keys().certificate == before
    assert signing.default_keystore().stat().st_mode & 0o077 == 0
    signing.debug_keys(old)  # an earlier version, run again, made another
    assert signing.default_keys().certificate == before


def test_a_keystore_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ArtifactError, match="cannot write keystore"):
        signing.debug_keys(tmp_path / "file" / "debug.p12")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (lambda: ec.generate_private_key(ec.SECP384R1()), "holds another kind of key; allowed: EC P-256"),
        (lambda: rsa.generate_private_key(public_exponent=65537, key_size=1024), "another kind of key"),
    ],
)
def test_other_keys_are_refused(tmp_path, key, message):
    store = write_keystore(tmp_path / "k.p12", key())
    with pytest.raises(PackageError, match=message):
        signing.load_keys(store, "secret")


def test_keystores_that_do_not_open(tmp_path):
    store = write_keystore(tmp_path / "k.p12", ec.generate_private_key(ec.SECP256R1()))
    for password in ("wrong", None):
        with pytest.raises(PackageError, match=r"cannot be opened; found .*; check the password"):
            signing.load_keys(store, password)
    with pytest.raises(PackageError, match="cannot be opened; found No such file"):
        signing.load_keys(tmp_path / "none.p12", "secret")
    store.write_bytes(b"\xfe\xed\xfe\xed\0\0\0\2")
    with pytest.raises(PackageError, match="Java's old kind; allowed: PKCS#12; keytool -importkeystore"):
        signing.load_keys(store, "secret")
    open_store = write_keystore(tmp_path / "open.p12", ec.generate_private_key(ec.SECP256R1()), None)
    assert signing.load_keys(open_store, None).algorithm == signing.EC_P256


def test_a_keystore_is_an_ordinary_file_of_some_kilobytes(tmp_path):
    (tmp_path / "large.p12").write_bytes(bytes(5_000_000))
    for path, said in ((tmp_path / "large.p12", "is too large"), (Path("/dev/zero"), "is not a file")):
        with pytest.raises(PackageError, match=said):
            signing.load_keys(path, "secret")
