"""From files, Hub names or the task world to validated tables of prompts."""
