"""A load for hours: does anything grow?"""
