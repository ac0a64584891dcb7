"""A whole farm on one machine: broker, field, boards, gateway, server, and thirty days of history."""
