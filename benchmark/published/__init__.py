"""What the papers printed: their numbers, the layout of their tables, and where they contradict themselves. Free of torch."""
