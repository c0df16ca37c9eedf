"""Updates the index for the units that a job names."""
