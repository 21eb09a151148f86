"""The local workers from a terminal: `python -m app.cluster status | stop`."""

from __future__ import annotations

import sys

from app.workers.cluster import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
