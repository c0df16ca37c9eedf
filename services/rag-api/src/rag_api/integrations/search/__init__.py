"""Search for workflow tools: results with few fields, or as one text for a prompt."""
