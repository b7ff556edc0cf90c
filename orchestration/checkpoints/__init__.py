"""Checkpoints: states of the user's workspace that can be had back.

    taking.py     one is taken before every accepted decision, undo and restore; the base of a run is one, too
    steps.py      what restoring one means, path by path; pure
    carrying.py   doing that to files and buffers
    desk.py       listing, comparing and restoring: the effects around the rest
    view.py       what people and programs are shown

Objects are kept by the journal's naming them: `antiphon gc` frees those that its retention lets go.
"""
