"""Other products that the benchmarks compare with, in an environment of their own."""
