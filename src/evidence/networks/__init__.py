"""Networks, one file each, and the layers that they share: subclasses of ``blocks.Network``, made with keyword
arguments alone, which travel with their weights. They know nothing of training.
"""
