"""Networks to and from the formats of others: each writer and reader is held to ``DiscreteNetwork.forward``."""

from conntra_neuro.exchange.files import FORMATS, export, import_network

__all__ = ["FORMATS", "export", "import_network"]
