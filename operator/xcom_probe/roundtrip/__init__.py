"""The round trip: every value through each way that it can take, and what follows from it."""
