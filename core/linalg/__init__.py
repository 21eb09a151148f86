"""Linear algebra of the methods: products, Cholesky, conjugate gradients, row systems, order statistics."""
