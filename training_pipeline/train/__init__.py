"""Fine-tuning an encoder with a linear layer."""
