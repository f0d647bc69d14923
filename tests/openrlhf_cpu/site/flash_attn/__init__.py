"""In place of flash-attn, which needs a GPU: OpenRLHF imports these names always and calls them for packed samples."""
