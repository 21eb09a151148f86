"""Store of results by content: keys, records, results, plans, journals. Code only; the bytes lie under PRUNESCOPE_HOME.

Nothing here imports torch until a journal's tensors are touched: the web server imports this package.
"""

from cache.keys import canonical_json, content_key, dense_key, plan_key, run_key
from cache.records import RunRecord, RunState
from cache.store import Store

__all__ = ["RunRecord", "RunState", "Store", "canonical_json", "content_key", "dense_key", "plan_key", "run_key"]
