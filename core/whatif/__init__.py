"""Sessions of what-ifs: a dense model with its Gram matrices."""
