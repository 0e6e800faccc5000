"""Baichuan AI: general models of 2024 and medical ones that reason."""
