"""OpenAI's surface: one file per family of endpoints, wire.py for what they share."""
