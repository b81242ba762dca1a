"""Figures, one file each: a function from arrays to a matplotlib figure.

Contract of a module in this folder, found by its name:

``draw(<what it needs>, *, settings) -> Figure``

It asks for what it needs by name: ``images`` and ``truth`` (all samples, memory maps; ``truth`` is None where none is
known), ``index`` (all samples), ``maps`` (heading → maps of the explained samples), ``histories`` and ``scores``
(heading → list of tables, one a seed).
"""
