"""Development of the passages that answers quote."""
