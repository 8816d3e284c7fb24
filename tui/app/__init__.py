"""The terminal UI: a Textual app over frozen views. Guests run in the engine's thread; nothing here touches them."""
