"""Alibaba Cloud Model Studio (Bailian, DashScope): the Qwen models, on a surface like OpenAI's and on its own."""
