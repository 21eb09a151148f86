"""Compiled (numba) kernels for the CPU. Each has a torch twin that tests hold it against."""
