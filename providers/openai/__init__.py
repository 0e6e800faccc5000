"""OpenAI itself."""
