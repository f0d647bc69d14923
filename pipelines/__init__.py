"""Only step calls, in the order of the data, and the commands that start them."""
