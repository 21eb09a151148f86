"""Start of the web server: `python -m app.server [--port 8501] [--address localhost]`.

Beyond loopback it asks for a token and prints the link that holds it, unless .streamlit/secrets.toml sets up a login
(docs/operations.md).
"""

from __future__ import annotations

import argparse
import socket
import sys
from pathlib import Path

from starlette.middleware import Middleware
from streamlit.starlette import App

from app.server import access_token, exports, health
from app.server.browsers import Browsers
from app.server.folders import prepare_folders
from app.server.gate import Gate
from app.server.headers import Headers
from app.server.index_page import IndexPage
from app.server.local_names import LocalNames
from app.server.redirects import Redirects
from app.shared import access
from app.shared.text_choice import allowed_mib
from app.workers import logs
from core.data.places import default_home
from core.spec.errors import BadInput

ROOT = Path(__file__).resolve().parents[2]


def main(words: list[str]) -> int:
    """Serve until interrupted; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m app.server", description="Serve PruneScope.")
    parser.add_argument("--port", type=int, default=8501)
    parser.add_argument("--address", default="localhost", help="0.0.0.0 for all addresses of this machine")
    chosen = parser.parse_args(words)
    middleware = [Middleware(Headers), Middleware(Browsers), Middleware(Redirects), Middleware(IndexPage)]
    try:
        if access.login_configured():
            sys.stdout.write("People sign in with the provider in .streamlit/secrets.toml.\n")
        elif access_token.required(chosen.address):
            token = access_token.read_token(default_home())
            middleware.append(Middleware(Gate, token=token))
            _tell(chosen.address, chosen.port, token)
        else:
            middleware.append(Middleware(LocalNames, address=chosen.address))
    except BadInput as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logs.configure()
    prepare_folders()
    exports.keep_tidy()
    access.guarded()
    script = ROOT / "app" / "main.py"
    sys.argv = [str(script)]  # what Streamlit puts first on sys.path is its folder
    App(script, routes=[*exports.routes(), *health.routes()], middleware=middleware).run(config={
        "server.port": chosen.port, "server.address": chosen.address, "server.maxUploadSize": max(1, allowed_mib())})
    return 0


def _tell(address: str, port: int, token: str) -> None:
    everywhere = address in ("0.0.0.0", "::", "")
    hosts = [socket.gethostname(), "127.0.0.1"] if everywhere else [address]
    links = "".join(f"    http://{host}:{port}/?token={token}\n" for host in hosts)
    sys.stdout.write(f"PruneScope asks for a token here. Open it once with this link, and the browser remembers:\n{links}"
                     f"The token is kept in {default_home() / 'token'}, unless PRUNESCOPE_TOKEN holds one.\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
