"""Any other server that speaks OpenAI's format: vLLM, SGLang, Ollama, llama.cpp, a company's own."""
