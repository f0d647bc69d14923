class TokensPrompt(dict):
    """As in vLLM: {"prompt_token_ids": [...]}."""
