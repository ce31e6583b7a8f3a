"""Tests of the library; its values are compared with the oracle in ``oracle.py``."""
