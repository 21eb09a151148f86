"""Positive definite systems and rows with masks, for the tests of compiled kernels."""


import torch

TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-4}


def system(size: int, dtype: torch.dtype) -> torch.Tensor:
    inputs = torch.randn(size, 2 * size, dtype=torch.float64, generator=torch.Generator().manual_seed(size))
    return (inputs @ inputs.T / size + 0.1 * torch.eye(size, dtype=torch.float64)).to(dtype)


def random(rows_: int, columns: int, dtype: torch.dtype, share: float = 0.5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(rows_ * columns)
    return torch.randn(rows_, columns, dtype=dtype, generator=generator), torch.rand(rows_, columns, generator=generator) < share
