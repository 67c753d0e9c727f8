"""Tests of `make demo`'s program."""
