"""The pass over a whole model: plan, sensitivity, pruning, resume."""
