"""What-if sessions: a dense model with its Gram matrices."""
