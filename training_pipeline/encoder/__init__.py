"""Pretrained encoders: where they come from, how they become trainable, and the network that is made of one."""
