"""Anthropic's Messages, told over chat: what is asked becomes a request of chat, and its answer, whole or streamed, a message."""
