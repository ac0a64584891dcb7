"""The HTTP API of docs/api.md: thin routes that parse, call one function and shape the answer."""
