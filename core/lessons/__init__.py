"""The mathematics of the Learn page on matrices small enough to see: the core's own generators and solvers, recorded.

    matrix      which small matrix is meant, and the records that the lessons answer with (no torch)
    making      the matrix itself, as a LayerProblem
    removals    one weight, two weights, every set of weights (Optimal Brain Surgeon)
    choosing    every mask of a short row, each method's mask and update
    formulas    three formulas for removing columns, of which one is right
    strong_row  the outlier-row effect on one strong row
    stepping    the methods' steps, and the curve from B = 1 to B = b
"""
