"""Programs for developing faas. Nothing here is part of the product."""
