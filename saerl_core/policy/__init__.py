"""The policy: pre-trained here, or an existing model."""
