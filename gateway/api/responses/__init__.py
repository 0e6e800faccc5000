"""POST /v1/responses and all that belongs to it, and /v1/conversations: said over chat, and kept in the store."""
