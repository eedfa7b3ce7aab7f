"""The studies of the checkout, held against what their papers print."""
