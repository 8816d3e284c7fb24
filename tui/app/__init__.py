"""The terminal UI: a Textual app over frozen views. Guests run in the engine's thread; nothing here touches them."""

import os

# Textual paints at most so often a second, and a key's paint waits for its turn: with its usual 60 up to 17 ms, and
# again for what follows from the first. Guests' frames have a rhythm of their own (engine.py). Read when Textual is
# imported, hence here.
os.environ.setdefault("TEXTUAL_FPS", "250")
