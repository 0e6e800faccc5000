"""Where the simulators' words come from: a script, a small real model, or any OpenAI-compatible server."""
