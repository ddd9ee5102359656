"""The whole loop on simulated fills, as a detector would deliver them and as people would answer.

`stage` prepares what a real experiment would have already (reference fills, a champion, accounts); `delivery` hands
over files and beam modes; `play` tells the story; `__main__` runs it.  Everything goes through the public command line.
"""
