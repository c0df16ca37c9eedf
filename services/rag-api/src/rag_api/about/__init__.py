"""What answers and searches here, and who gets the texts for it."""
