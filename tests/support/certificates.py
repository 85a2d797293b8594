"""Certificates for a test, in PEM files.

They are those of an authority, a server of loopback and a client.
"""

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def write(folder: Path) -> None:
    """Write ca.crt, and server and client each with .crt and .key, to `folder`."""
    authority = ec.generate_private_key(ec.SECP256R1())
    _save(folder / "ca", _certificate("authority", authority, authority), None)
    for name in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        _save(folder / name, _certificate(name, key, authority), key)


def of_client(folder: Path) -> dict[str, str]:
    """Return the options of a client that trusts the servers and has a certificate."""
    return {
        "ssl_ca_certs": str(folder / "ca.crt"),
        "ssl_certfile": str(folder / "client.crt"),
        "ssl_keyfile": str(folder / "client.key"),
    }


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, authority: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named("authority"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
        .add_extension(x509.BasicConstraints(ca=key is authority, path_length=None), critical=True)
        .sign(authority, hashes.SHA256())
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _save(
    path: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey | None
) -> None:
    pem = serialization.Encoding.PEM
    path.with_suffix(".crt").write_bytes(certificate.public_bytes(pem))
    if key is not None:
        path.with_suffix(".key").write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
