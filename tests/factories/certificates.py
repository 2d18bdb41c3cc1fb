"""Certificates of servers for tests, by whom and for how long one wants them."""

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


def a_certificate(folder: Path, *, host: str = "127.0.0.1", begins: int = -1, ends: int = 1, by: str = "") -> str:
    """Return a PEM file of a certificate for ``host`` and its key; days are counted from today.

    It is signed by itself, or by an authority of the name ``by``, which nobody trusts.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ci.example.com")])
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, by)]) if by else subject
    today = dt.datetime.now(dt.UTC)
    try:
        names: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address(host))]
    except ValueError:
        names = [x509.DNSName(host)]
    made = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(today + begins * DAY)
        .not_valid_after(today + ends * DAY)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=not by, path_length=None if by else 0), critical=True)
        .sign(ec.generate_private_key(ec.SECP256R1()) if by else key, hashes.SHA256())
    )
    place = folder / f"{host}{begins}{ends}{by}.pem"
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    place.write_bytes(made.public_bytes(pem) + key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    return str(place)
