"""The roles: what a peer does beyond relaying. Each is ``run_<role>`` on an open `Peer`."""
