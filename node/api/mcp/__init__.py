"""The Model Context Protocol: tools for programs that speak with language models, over HTTP at `/mcp`."""
