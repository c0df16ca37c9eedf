"""Query history: what users asked, what they were answered, and their feedback."""
