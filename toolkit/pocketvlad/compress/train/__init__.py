"""Fine-tuning while compressed."""
