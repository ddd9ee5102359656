"""Drift detectors that need an environment of their own, each on the same stored events.

`benchmarks.peer_streams` draws the events; ``make bench-peers`` makes an environment for each peer under build/, and
runs ``benchmarks.peers.on_NAME`` in it.  Those modules import numpy, their peer, and nothing of retrigger.
"""
