"""A hub id from nothing to a finished run, over a hub of our own on loopback that speaks the real one's protocol."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import constants

from core.demo import MODEL
from core.models.sources import describe_model, resolve_model
from core.run.pipeline import prune
from core.run.planning import plan
from core.run.revisions import revisions
from core.spec import Calibration, Evaluation, RunSpec
from core.spec.errors import BadInput

COMMIT = "c0ffee" + "0" * 34
SPEC = RunSpec(model="team/tiny", calibration=Calibration(windows=16, length=64), evaluation=Evaluation(windows=2, length=32))


class Hub(BaseHTTPRequestHandler):
    asked: list[str]

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.split("?")[0]
        if path.startswith("/api/models/team/tiny/tree/"):
            tree = [{"type": "file", "path": file.name, "size": file.stat().st_size, "oid": file.name} for file in MODEL.iterdir()]
            self._send(json.dumps(tree).encode(), "application/json")
        elif path.startswith("/api/models/team/tiny"):
            files = [{"rfilename": file.name} for file in MODEL.iterdir()]
            about = {"id": "team/tiny", "modelId": "team/tiny", "sha": COMMIT, "siblings": files}
            self._send(json.dumps(about).encode(), "application/json")
        elif path.startswith(f"/team/tiny/resolve/{COMMIT}/") and (MODEL / path.rsplit("/", 1)[1]).is_file():
            self.asked.append(path.rsplit("/", 1)[1])
            self._send((MODEL / path.rsplit("/", 1)[1]).read_bytes(), "application/octet-stream")
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _send(self, body: bytes, kind: str):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha256(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch):
    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneHub", (Hub,), {"asked": asked}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    yield asked
    server.shutdown()
    server.server_close()


def test_key_and_plan_need_no_weights_and_the_run_fetches_them(hub):
    assert revisions(SPEC).model == COMMIT
    assert hub == []
    planned = plan(SPEC)
    assert (len(planned.layers), planned.parameters) == (42, 5_795_072)
    assert "config.json" in hub
    assert "model.safetensors" not in hub
    *_, last = prune(SPEC)
    assert "model.safetensors" in hub
    assert len(last.result.layers) == 42
    assert last.result.revisions == revisions(SPEC)
    assert resolve_model("team/tiny").parameters == describe_model("team/tiny").parameters == planned.parameters


def test_a_model_the_hub_does_not_have(hub):
    for ask in (revisions, plan):
        with pytest.raises(BadInput, match="At hand: demo"):
            ask(SPEC.model_copy(update={"model": "team/other"}))
