"""Simulated boards, soil, pipes and weather, and the all-in-one demo. Nothing imports it."""
