"""The coordinator: turns an app's request into a task of the network and its result into an answer."""
