"""The mathematics of the Learn page on matrices small enough to see: the core's own generators and solvers, recorded.

    matrix      which small matrix is meant, and the records that the lessons answer with (no torch)
    making      the matrix itself, as a LayerProblem
    removals    one weight, two weights, every set of weights (Optimal Brain Surgeon)
    stepping    the methods' steps, and the curve from B = 1 to B = b
"""
