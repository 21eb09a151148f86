"""Many sessions at once: `python -m bench.load [--sessions 50] [--runs 1000] [--seconds 60] [--rounds 3]`. Prints; asserts nothing.

A server of its own on loopback, a store with many runs, and sessions without a browser that speak Streamlit's protocol: each opens a page,
waits 5 to 15 seconds as a reader does, and goes to another. Then all close, and a while later (Streamlit keeps the session of a lost
connection for two minutes) the server's memory is looked at; the same again in each round, so that what grows is seen.

    page time       from the request over the WebSocket to the end of the page's script
    a session       (memory with all sessions open − memory before) / sessions
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets import Origin, Subprotocol
from websockets.asyncio.client import ClientConnection, connect

from app.shared.page_links import TITLES
from app.workers.cluster import stop_cluster
from cache.records import RunRecord
from cache.store import Store
from core.records import RunResult
from core.spec import Calibration

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("", *(name for name in TITLES if name not in ("explore", "tryout")))
FORGOTTEN = 150  # seconds after which Streamlit has let go of a session whose connection is lost


def fill(home: Path, runs: int) -> str:
    """A store with one real result, a shipped one, and many more records of its kind; returns the key of the result."""
    result = RunResult.model_validate_json((ROOT / "app" / "gallery" / "thanos-2-4.json").read_bytes())
    store = Store(home)
    for number in range(runs):
        spec = result.spec.model_copy(update={"calibration": Calibration(seed=number)})
        store.put_record(RunRecord(key=f"{number:064x}", spec=spec, state="queued", submitted=time.time() - number).finished(result))
    store.put_result(f"{0:064x}", result)
    store.close()
    return f"{0:064x}"


def serve(home: Path) -> tuple[subprocess.Popen[bytes], int]:
    """A server of its own, when it answers; and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "app.server", "--port", str(port)], cwd=ROOT, stdout=log, stderr=log,
                                   env={**os.environ, "PRUNESCOPE_HOME": str(home), "PRUNESCOPE_COLD": "1"})
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("localhost", port), timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return process, port
    raise RuntimeError((home / "server.log").read_text())


async def page(connection: ClientConnection, name: str, query: str) -> float:
    """Seconds until the script of a page has ended."""
    begun = time.perf_counter()
    await connection.send(BackMsg(rerun_script=ClientState(query_string=query, page_name=name)).SerializeToString())
    while True:
        message = ForwardMsg.FromString(bytes(await connection.recv(decode=False)))
        if message.WhichOneof("type") == "script_finished":
            return time.perf_counter() - begun


async def session(port: int, key: str, until: float, chance: random.Random) -> list[tuple[str, float]]:
    """Seconds of the pages that one reader opens until a moment."""
    origin = Origin(f"http://localhost:{port}")
    times: list[tuple[str, float]] = []
    await asyncio.sleep(chance.uniform(0, 10))
    async with connect(f"ws://localhost:{port}/_stcore/stream", origin=origin, max_size=None, open_timeout=60,
                       subprotocols=[Subprotocol("streamlit")]) as connection:
        while time.monotonic() < until:
            name = chance.choice(PAGES)
            query = f"run={key}" if name in ("", "layers") and chance.random() < 0.5 else ""
            times.append((name or "explore", await page(connection, name, query)))
            await asyncio.sleep(chance.uniform(5, 15))
    return times


async def all_sessions(port: int, key: str, sessions: int, seconds: float, server: psutil.Process) -> tuple[list[tuple[str, float]], int]:
    """Times of all readers, and the server's memory at the end, while all are there."""
    until = time.monotonic() + seconds
    readers = [asyncio.create_task(session(port, key, until, random.Random(number))) for number in range(sessions)]
    await asyncio.sleep(seconds - 1)
    memory = server.memory_info().rss
    return [entry for times in await asyncio.gather(*readers) for entry in times], memory


def describe(times: Sequence[tuple[str, float]]) -> str:
    """Medians, over all pages and of each."""
    seconds = [value for _, value in times]
    spread = statistics.quantiles(seconds, n=20)
    lines = [f"  {len(seconds)} pages: median {statistics.median(seconds):.2f} s, 95 % below {spread[18]:.2f} s"]
    for name in dict.fromkeys(name for name, _ in sorted(times)):
        own = [value for other, value in times if other == name]
        lines.append(f"    {name:10} {statistics.median(own):6.2f} s  ({len(own)})")
    return "\n".join(lines)


def main(words: Sequence[str]) -> None:
    """Run all rounds and print what was measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.load")
    for name, usual in (("sessions", 50), ("runs", 1000), ("seconds", 60), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    asked = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        key = fill(home, asked.runs)
        process, port = serve(home)
        try:
            server = psutil.Process(process.pid)
            asyncio.run(all_sessions(port, key, 2, 30, server))  # programs are loaded
            time.sleep(5)
            before = server.memory_info().rss
            print(f"{asked.sessions} sessions, {asked.runs} runs; load of this machine {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
            print(f"server before: {before / 1e6:.0f} MB, {server.num_threads()} threads, {server.num_fds()} open files")
            for number in range(asked.rounds):
                times, memory = asyncio.run(all_sessions(port, key, asked.sessions, asked.seconds, server))
                print(f"round {number + 1}; load of this machine {os.getloadavg()[0]:.1f}\n{describe(times)}")
                print(f"  all open: {memory / 1e6:.0f} MB, {(memory - before) / 1e6 / asked.sessions:.1f} MB a session", flush=True)
                time.sleep(FORGOTTEN)
                print(f"  {FORGOTTEN} s after all have closed: {server.memory_info().rss / 1e6:.0f} MB, {server.num_threads()} threads, "
                      f"{server.num_fds()} open files", flush=True)
        finally:
            process.terminate()
            process.wait(timeout=30)
            stop_cluster(home)


if __name__ == "__main__":
    main(sys.argv[1:])
