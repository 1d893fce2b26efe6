"""The messages of peers and their meaning: the reference of the Cuckoo network.

Is: pure functions and values over bytes, integers and ``now_ms``. `README.md` beside this file is the
specification that these modules execute.
Is not: I/O, clocks, randomness, threads or sockets; nothing here imports another room of the project.
"""
