"""The whole house at once: the demo's real processes, judged from the outside (API, field, browser)."""
