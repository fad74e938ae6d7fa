"""What a file holds, optimised for its image while all networks stay as they are."""
