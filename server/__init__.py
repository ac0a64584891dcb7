"""The cooperative's server: accounts, history, API, alerts, and the phone app in server/web."""
