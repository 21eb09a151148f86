"""Models: decoder blocks and their linear layers, loading, streaming, Gram matrices, cost."""
