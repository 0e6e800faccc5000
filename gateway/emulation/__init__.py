"""What the gateway does itself where a provider lacks what a request asks for. A translator says what is left to do: see `base.Work`."""
