"""The dialect of OpenAI's image API, as its stock clients send it."""
