"""One file a method, each with a `kernel`: a generator of Steps that ends in an Outcome (see core/solver.py)."""
