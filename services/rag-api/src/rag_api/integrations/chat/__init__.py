"""Answers as plain text, for programs that know no more than that."""
