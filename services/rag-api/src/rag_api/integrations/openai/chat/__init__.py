"""Chat completions: answers to counselors, and responses to the background prompts of chat programs."""
