"""How long the Learn page takes to answer, on a real server with a real worker: `python -m bench.learn` (about two minutes). Prints only.

Server time of a whole rerun with its charts, as after every press and every move of a slider: from the message over the WebSocket to the
end of the script, in a tab that is open already. New: a weight, step, matrix … that was never asked for, with its question to the worker;
again: its answer is known. Moves are made as the browser's Back and Forward make them: only these change all words at once.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets import Origin, Subprotocol
from websockets.sync.client import ClientConnection, connect

from app.workers.cluster import stop_cluster
from tests.browser.conftest import Server

ROOT = Path(__file__).resolve().parents[1]
TIMES = 5
MOVES: dict[str, list[dict[str, object]]] = {  # what a person changes at a stop, one after the other
    "1 a weight": [{"stop": 1, "row": row, "column": 2 * row} for row in range(TIMES)],
    "1 another matrix": [{"stop": 1, "first_column": 12 * step} for step in range(TIMES)],
    "2 a pair": [{"stop": 2, "guess": "none", "row": row, "column": row} for row in range(TIMES)],
    "3 a step of OBC": [{"stop": 3, "focus": "obc", "step": step + 1} for step in range(TIMES)],
    "3 another sparsity": [{"stop": 3, "sparsity": 0.3 + 0.1 * step} for step in range(TIMES)],
    "3 another B on the curve": [{"stop": 3, "view": "blocks", "block": 2 + step} for step in range(TIMES)],
    "4 another row": [{"stop": 4, "row": row} for row in range(TIMES)],
    "5 more columns": [{"stop": 5, "share": 0.2 + 0.1 * step} for step in range(TIMES)],
    "6 another sparsity": [{"stop": 6, "sparsity": 0.3 + 0.1 * step} for step in range(TIMES)],
    "7 a stronger row": [{"stop": 7, "factor": 2.0 + step} for step in range(TIMES)],
    "7 another α": [{"stop": 7, "alpha": 0.1 * step} for step in range(TIMES)],
}


def rerun(socket: ClientConnection, words: dict[str, object], *, moved: bool = False) -> tuple[float, bool]:
    """Seconds of one run of the page's script, and whether it drew charts."""
    start, charts = time.perf_counter(), False
    query = ClientState(query_string=urlencode(words), page_name="learn", is_history_navigation=moved)
    socket.send(BackMsg(rerun_script=query).SerializeToString())
    while True:
        message = ForwardMsg.FromString(bytes(socket.recv(decode=False)))
        charts |= message.WhichOneof("type") == "delta" and message.delta.new_element.WhichOneof("type") == "plotly_chart"
        if message.WhichOneof("type") == "script_finished":
            return time.perf_counter() - start, charts


def measure(socket: ClientConnection, words: dict[str, object]) -> tuple[float, float]:
    """Seconds until the charts are there, asked for the first time; and of a rerun when the answer is known."""
    first, charts = rerun(socket, words, moved=True)
    while not charts:
        seconds, charts = rerun(socket, words)
        first += seconds
    return first, rerun(socket, words)[0]


def tab(port: int) -> ClientConnection:
    """A browser's tab, as the server sees it."""
    return connect(f"ws://127.0.0.1:{port}/_stcore/stream", origin=Origin(f"http://127.0.0.1:{port}"), max_size=None,
                   subprotocols=[Subprotocol("streamlit")])


def main() -> None:
    home = Path(tempfile.mkdtemp())
    server = Server(ROOT, home)
    server.start()
    try:
        with tab(server.port) as socket:
            measure(socket, {"stop": 1})  # the worker's session is opened now
        print(f"{'':28}{'new':>18}{'again':>18}   seconds, median (most)")
        for name, moves in MOVES.items():
            with tab(server.port) as socket:
                measure(socket, {**moves[0], "damping": 0.02})  # what is compiled and imported once is
                new, again = zip(*(measure(socket, words) for words in moves), strict=True)
            print(f"{name:28}" + "".join(f"{statistics.median(times):10.3f} ({max(times):.3f})" for times in (new, again)), flush=True)
    finally:
        server.stop()
        stop_cluster(home)


if __name__ == "__main__":
    main()
