"""Search for workflow tools: few fields, or one text to put into a prompt."""
