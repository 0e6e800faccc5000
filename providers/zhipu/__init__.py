"""Zhipu AI (BigModel, Z.ai): the GLM models, v4 API."""
