"""Headers that a browser obeys: what a page may load, who may frame it, and that files are what they say.

Scripts are those of Streamlit's own files and the inline ones that are known by their hash: Streamlit's first lines and ours under charts.
'unsafe-eval' stays because Plotly compiles functions; styles are inline throughout. Everything else comes from this server.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit

from app.server.index_page import SCRIPTS

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_INLINE = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_OURS = Path(__file__).resolve().parents[1] / "shared" / "chart_downloads.js"


def inline_scripts() -> tuple[str, ...]:
    """The scripts that stand in pages themselves."""
    index = Path(streamlit.__file__).parent / "static" / "index.html"
    return (*_INLINE.findall(index.read_text(encoding="utf-8")), *SCRIPTS, _OURS.read_text(encoding="utf-8"))


def content_policy(scripts: Iterable[str]) -> str:
    """The Content-Security-Policy that lets exactly these inline scripts run."""
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts)
    return "; ".join((
        "default-src 'self'", f"script-src 'self' 'unsafe-eval' 'wasm-unsafe-eval' blob: {hashes}", "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:", "font-src 'self' data:", "connect-src 'self' data: blob:", "worker-src 'self' blob:",
        "frame-src 'self' blob:", "object-src 'none'", "base-uri 'self'", "form-action 'self'", "frame-ancestors 'none'"))


class Headers:
    """ASGI middleware that adds the headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = [(name.encode(), value.encode()) for name, value in (
            ("content-security-policy", content_policy(inline_scripts())), ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"), ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()"))]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = {name for name, _ in self._headers}
                message["headers"] = [item for item in message.get("headers", ()) if item[0].lower() not in names] + self._headers
            await send(message)

        await self._app(scope, receive, add if scope["type"] == "http" else send)
