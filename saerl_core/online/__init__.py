"""A curriculum that answers to rewards, inside trainers that ask for their prompts: TRL, slime, Trinity-RFT."""
