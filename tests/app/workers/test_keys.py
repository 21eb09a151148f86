"""The scheduler hears nobody who does not hold the keys, and nobody but their owner can read these."""

from __future__ import annotations

import os
import ssl
import stat
from pathlib import Path

import pytest

from app.workers import cluster, keys
from app.workers.connection import Connection
from app.workers.keys import KeyFault
from tests.app.workers.processes import processes

pytestmark = pytest.mark.faults


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_keys_are_made_once_and_are_their_owners(tmp_path: Path) -> None:
    made = keys.ensure_keys(tmp_path)
    before = {file.name: file.read_bytes() for file in made.iterdir()}
    assert set(before) == {"key.pem", "cert.pem"}
    assert {mode(made), mode(made / "key.pem"), mode(made / "cert.pem")} == {0o700, 0o600}
    assert keys.ensure_keys(tmp_path) == made
    assert {file.name: file.read_bytes() for file in made.iterdir()} == before
    assert keys.ensure_keys(tmp_path / "other") != made
    assert (tmp_path / "other" / "keys" / "key.pem").read_bytes() != before["key.pem"]


def test_keys_that_others_can_read_or_that_are_no_pair_are_refused(tmp_path: Path) -> None:
    made = keys.ensure_keys(tmp_path)
    (made / "key.pem").chmod(0o644)
    with pytest.raises(KeyFault, match="chmod 600"):
        keys.ensure_keys(tmp_path)
    (made / "key.pem").chmod(0o600)
    (made / "cert.pem").write_bytes((keys.ensure_keys(tmp_path / "other") / "cert.pem").read_bytes())
    with pytest.raises(KeyFault, match="belong together"):
        keys.ensure_keys(tmp_path)


def test_half_made_keys_are_made_anew(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "cert.pem").write_text("half")
    keys.ensure_keys(tmp_path)


def test_keys_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = keys.ensure_keys(tmp_path / "host")
    monkeypatch.setenv("PRUNESCOPE_KEYS", str(made))
    assert keys.ensure_keys(tmp_path / "here") == made
    monkeypatch.setenv("PRUNESCOPE_KEYS", str(tmp_path / "nowhere"))
    with pytest.raises(KeyFault, match="nowhere"):
        keys.ensure_keys(tmp_path / "here")
    assert not (tmp_path / "here").exists()


def test_a_client_without_the_keys_is_refused_and_one_with_them_heard(home: Path, tmp_path: Path) -> None:
    from distributed import Client

    address = cluster.ensure_cluster(home)
    assert address.startswith("tls://127.0.0.1:")
    strangers = keys.client_security(address, keys.ensure_keys(tmp_path))
    plain = address.replace("tls://", "tcp://")
    for place, security in ((plain, None), (address, strangers)):
        with pytest.raises((OSError, ssl.SSLError)):
            Client(place, timeout=2, security=security, set_as_default=False)
    connection = Connection(home, lambda _: None)
    client = connection.wait()
    client.wait_for_workers(2, timeout=60)
    assert client.submit(os.getpid, resources={"device": 1}).result(timeout=60) > 0
    workers = client.scheduler_info(n_workers=-1)["workers"]
    assert all(name.startswith("tls://") for name in workers)
    assert all(worker["nanny"].startswith("tls://") for worker in workers.values())
    connection.close()


def test_every_port_of_every_process_asks_for_the_keys(home: Path) -> None:
    """Workers and nannies take orders too. What answers without keys is Dask's own web server, from which all routes are taken."""
    import socket

    import psutil

    cluster.ensure_cluster(home)
    ports = {place.laddr.port for pid in processes(home).values() for process in (psutil.Process(pid), *psutil.Process(pid).children(True))
             for place in process.net_connections("tcp") if place.status == psutil.CONN_LISTEN}
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for port in ports:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
            raw.settimeout(5)
            try:
                wrapped = context.wrap_socket(raw)
            except OSError:
                wrapped = None
            if wrapped is not None:
                with wrapped, pytest.raises(ssl.SSLError, match="certificate required"):  # TLS 1.3 says so after its handshake
                    wrapped.recv(1)
                continue
        with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
            raw.settimeout(5)
            raw.sendall(b"GET /info/main/workers.html HTTP/1.0\r\n\r\n")
            answer = raw.recv(100)
        assert not answer or b" 404 " in answer
