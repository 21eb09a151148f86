"""One file a method, each with a `kernel`: a generator of Steps that ends in an Outcome (core/layer/steps.py). `solve` runs them."""
