"""What can be checked of the compose file, and of good practice in the Dockerfile, where no Docker engine runs."""

import argparse
import re
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from app.server.access_token import required
from app.workers.__main__ import _parser
from app.workers.keys import make_keys

ROOT = Path(__file__).parents[1]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
STEPS = [line.split(maxsplit=1) for line in DOCKERFILE.splitlines() if line.strip() and not line.startswith(("#", " "))]


def words(name: str) -> list[str]:
    command = SERVICES[name]["command"]
    assert command[:3] == [".venv/bin/python", "-m", "app.workers"]
    return command[3:]


def test_scheduler_worker_and_server_are_there_and_their_commands_exist():
    assert set(SERVICES) == {"scheduler", "worker", "server"}
    scheduler, worker = (_parser().parse_args(words(name)) for name in ("scheduler", "worker"))
    assert isinstance(scheduler, argparse.Namespace)
    assert (scheduler.what, worker.what) == ("scheduler", "worker")
    assert scheduler.protocol == "tls"
    assert "command" not in SERVICES["server"]  # the image's own


def test_all_meet_at_one_scheduler_with_its_keys():
    port = _parser().parse_args(words("scheduler")).port
    for name in ("worker", "server"):
        assert SERVICES[name]["environment"]["PRUNESCOPE_SCHEDULER"] == f"tls://scheduler:{port}"
        assert SERVICES[name]["depends_on"]["scheduler"] == {"condition": "service_healthy"}
        assert "keys:/keys:ro" in SERVICES[name]["volumes"]
    assert {service["environment"]["PRUNESCOPE_KEYS"] for service in SERVICES.values()} == {"/keys/tls"}
    assert "keys:/keys" in SERVICES["scheduler"]["volumes"]
    assert str(port) in SERVICES["scheduler"]["healthcheck"]["test"][-1]
    assert "healthcheck" not in SERVICES["server"]  # the image's own


def test_the_scheduler_is_healthy_once_it_speaks_tls_with_its_keys(tmp_path, monkeypatch):
    """A check that connects without keys would be a warning in its log every ten seconds."""
    monkeypatch.setenv("PRUNESCOPE_KEYS", str(tmp_path / "tls"))
    make_keys()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tmp_path / "tls" / "cert.pem")
    tls.load_cert_chain(tmp_path / "tls" / "cert.pem", tmp_path / "tls" / "key.pem")
    tls.verify_mode = ssl.CERT_REQUIRED
    *_, flag, code = SERVICES["scheduler"]["healthcheck"]["test"]
    assert flag == "-c"
    with socket.create_server(("127.0.0.1", 0)) as server:
        checking = subprocess.Popen([sys.executable, "-c", code.replace("8786", str(server.getsockname()[1]))])
        accepted, _ = server.accept()
        with tls.wrap_socket(accepted, server_side=True):
            assert checking.wait(timeout=20) == 0


def test_only_the_pages_are_published_and_they_ask_for_a_token():
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["server"]
    assert SERVICES["server"]["ports"] == ["127.0.0.1:8501:8501"]
    assert re.fullmatch(r"\$\{PRUNESCOPE_TOKEN:\?.+\}", SERVICES["server"]["environment"]["PRUNESCOPE_TOKEN"])
    command = next(rest for step, rest in STEPS if step == "CMD")
    assert command == '["make", "run", "ADDRESS=0.0.0.0"]'
    assert required("0.0.0.0")


def test_results_outlive_the_containers_and_volumes_are_declared():
    named = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ()) if not volume.startswith("./")}
    assert named == set(COMPOSE["volumes"])
    assert "data:/data" in SERVICES["server"]["volumes"]
    made = re.search(r"mkdir ([^&]+)", DOCKERFILE)[1].split()
    assert {volume.split(":")[1] for service in SERVICES.values() for volume in service.get("volumes", ())} <= set(made)


@pytest.mark.parametrize("name", ["scheduler", "worker", "server"])
def test_services_have_no_rights_they_do_not_need(name):
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not {"privileged", "network_mode", "user", "pid", "cap_add"} & set(service)


def test_dockerfile_keeps_good_practice():
    assert [step for step, _ in STEPS if step in ("ADD", "MAINTAINER", "SHELL")] == []
    assert sum(step == "HEALTHCHECK" for step, _ in STEPS) == sum(step == "CMD" for step, _ in STEPS) == 1
    installed = next(rest for step, rest in STEPS if step == "RUN" and "apt-get install" in rest)
    for word in ("apt-get update", "-y", "--no-install-recommends", "rm -rf /var/lib/apt/lists/*"):
        assert word in installed
    assert not re.search(r"\b(sudo|latest|chmod 777|curl|wget)\b", DOCKERFILE)
    assert not [rest for step, rest in STEPS if step in ("ENV", "ARG") and re.search(r"TOKEN|SECRET|PASSWORD|KEY=", rest)]
    users = [rest for step, rest in STEPS if step == "USER"]
    assert users
    assert users[-1] not in ("root", "0")
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".git", ".venv", ".streamlit/secrets.toml", "tests"} <= set(ignored)
