"""The background side: scheduler, workers, and what they compute for the pages.

Importing this package confines the process (core/data/places.py): what browsers ask for is read from the folders of texts alone, in the
web server and in every worker, also one that was started by hand. Tasks are functions of this package, so no worker computes without it.
"""

from core.data.places import confine

confine()
