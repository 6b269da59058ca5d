"""Serves the triage page to other people: who may come in, what they may ask for, and what is passed on."""
