"""Who may serve a request, in which order, and the attempts that follow."""
