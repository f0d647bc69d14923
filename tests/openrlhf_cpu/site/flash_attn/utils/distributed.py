from flash_attn.bert_padding import needs_a_gpu as all_gather

__all__ = ["all_gather"]
