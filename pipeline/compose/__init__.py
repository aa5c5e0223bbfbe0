"""Results to messages: what is told, and with which words."""
