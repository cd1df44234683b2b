"""What a user types and sees: commands down, events up."""
