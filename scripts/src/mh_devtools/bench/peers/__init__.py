"""What the benchmarks compare with, in an environment of its own."""
