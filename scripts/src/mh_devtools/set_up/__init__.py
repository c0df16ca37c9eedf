"""Create the virtual environments of this checkout, and lock their packages."""
