"""The first start: making the first administrator."""
