"""OpenAI's completions of before chat, told over chat: a prompt becomes what the user says, and the answer its completion."""
