"""redrec: one user representation from all scenarios, queried once per scenario (RED-Rec, arXiv:2510.14788)."""

__version__ = "0.1.0"
