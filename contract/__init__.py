"""What the parts say to each other: topics, messages, the durable link."""
