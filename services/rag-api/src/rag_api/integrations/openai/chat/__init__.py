"""Chat completions: answers to who asks, and the background prompts of chat programs."""
