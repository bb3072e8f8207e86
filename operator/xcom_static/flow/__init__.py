"""Which values a function returns and pushes."""
