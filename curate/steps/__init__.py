"""The work behind the verbs: each step reads and writes finished files, and is not repeated in vain."""
