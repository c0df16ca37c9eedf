"""The unit sources, one module for each kind."""
