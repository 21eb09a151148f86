"""The same run asked for by many at once, in threads and in processes: one record, one attempt."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from app.workers import queue
from app.workers.jobs import Jobs
from cache import Store
from core.spec import RunSpec

pytestmark = pytest.mark.faults
ROOT = Path(__file__).resolve().parents[3]
ASK = ("import sys\nfrom cache import Store\nfrom app.workers.jobs import Jobs\nfrom core.spec import RunSpec\n"
       "jobs = Jobs(Store())\nprint('ready', flush=True)\nsys.stdin.readline()\n"
       "print(jobs.submit(RunSpec(), group=sys.argv[1]), flush=True)\n")


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNESCOPE_SCHEDULER", "tcp://127.0.0.1:1")


def test_eight_threads_ask_for_one_attempt(prunescope_home):
    store = Store(prunescope_home)
    jobs = Jobs(store)
    together, keys = threading.Barrier(8), list[str]()

    def ask(group: str) -> None:
        together.wait()
        keys.append(jobs.submit(RunSpec(), group=group))

    threads = [threading.Thread(target=ask, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == len({job.name for job in queue.jobs(store)}) == store.count() == 1
    jobs.close()
    store.close()


def test_three_web_servers_ask_for_one_attempt(prunescope_home):
    servers = [subprocess.Popen([sys.executable, "-c", ASK, str(number)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                text=True) for number in range(3)]
    for server in servers:
        assert server.stdout.readline() == "ready\n"
    for server in servers:
        server.stdin.write("go\n")
        server.stdin.flush()
    keys = {server.stdout.readline().strip() for server in servers}
    for server in servers:
        server.kill()
        server.communicate()
    store = Store(prunescope_home)
    assert len(keys) == store.count() == len(queue.jobs(store)) == 1
    store.close()
