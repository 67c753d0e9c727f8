"""Pretrained encoders: where they come from and how they become trainable."""
