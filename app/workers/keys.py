"""TLS keys of the scheduler, its workers and their clients: whoever holds them may have code run, and nobody else.

    HOME/cluster/HOST/keys/{cert.pem, key.pem}      made at the first start, readable by their owner only
    PRUNESCOPE_KEYS=FOLDER                          the same two files for a scheduler of your own, copied to each host

One certificate signs itself and is the only authority that any side accepts: scheduler, workers and clients show it to each other.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed.security import Security

_YEARS = 20
_OTHERS = 0o077


class KeyFault(Exception):
    """Keys that cannot be used; the text says why and what to do."""


def ensure_keys(folder: Path) -> Path:
    """The folder with cert.pem and key.pem, made if need be; PRUNESCOPE_KEYS names another. Call it with the cluster's lock held.

    Raises KeyFault for keys that others can read, that are not a pair or that have expired.
    """
    named = os.environ.get("PRUNESCOPE_KEYS")
    keys = Path(named).expanduser().absolute() if named else folder / "keys"
    if not named and not (keys / "key.pem").is_file():
        _make(keys)
    _check(keys)
    return keys


def make_keys() -> None:
    """Make keys in the folder that PRUNESCOPE_KEYS names, where it holds none: what a scheduler does, and nobody else."""
    named = os.environ.get("PRUNESCOPE_KEYS")
    if named and not (Path(named).expanduser().absolute() / "key.pem").is_file():
        _make(Path(named).expanduser().absolute())


def dask_settings(keys: Path) -> dict[str, object]:
    """Dask's settings for `distributed.comm`: TLS in every role, and no connection without."""
    pair = {"cert": str(keys / "cert.pem"), "key": str(keys / "key.pem")}
    return {"require-encryption": True, "default-scheme": "tls",
            "tls": {"ca-file": pair["cert"], "scheduler": pair, "worker": pair, "client": pair}}


def client_security(address: str, keys: Path) -> Security | None:
    """Credentials of a client for a scheduler at `address`; None for one without TLS, which is somebody's own choice."""
    if not address.startswith("tls://"):
        return None
    from distributed.security import Security

    _check(keys)
    cert, key = str(keys / "cert.pem"), str(keys / "key.pem")
    return Security(require_encryption=True, tls_ca_file=cert, tls_client_cert=cert, tls_client_key=key)


def _make(keys: Path) -> None:
    """Both files at once: a folder that is there is whole."""
    keys.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="keys-", dir=keys.parent))  # readable by its owner only
    key, certificate = _pair()
    for name, content in (("key.pem", key), ("cert.pem", certificate)):
        with open(os.open(made / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
    if keys.exists():  # without a key in it: left over
        keys.replace(Path(tempfile.mkdtemp(prefix="old-keys-", dir=keys.parent)))
    made.replace(keys)


def _pair() -> tuple[bytes, bytes]:
    """A private key (P-256) and a certificate that it signed, as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "prunescope")])
    now = datetime.now(UTC)
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=365 * _YEARS))
                   .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(key, hashes.SHA256()))
    return (key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
            certificate.public_bytes(serialization.Encoding.PEM))


def _check(keys: Path) -> None:
    key, certificate = keys / "key.pem", keys / "cert.pem"
    try:
        stat = key.stat()
        if stat.st_mode & _OTHERS:
            raise KeyFault(f"{key} can be read by other users of this machine, who could then have code run. `chmod 600 {key}`, on a disk "
                           "that keeps permissions; if it was so for long, delete its folder, and new keys are made.")
        ssl.create_default_context().load_cert_chain(certificate, key)
    except OSError as error:  # ssl.SSLError is one
        raise KeyFault(f"The keys in {keys} cannot be used ({error}). cert.pem and key.pem belong together; delete the folder, and new "
                       "ones are made.") from error
