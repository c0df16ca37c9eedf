"""The benchmarks: a module a section."""
