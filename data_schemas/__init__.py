"""Contracts between parts: JSON Schema files, no code."""
