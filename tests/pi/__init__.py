"""The board as it stands on the hillside: an emulated Raspberry Pi 3B boots a card with this project on it."""
