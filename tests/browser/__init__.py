"""The phone app in a real Chromium at 390x844, over the real house."""
