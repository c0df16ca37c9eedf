"""The same search and answers in the forms that other tools already speak."""
