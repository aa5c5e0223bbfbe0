"""The ground floor: the words that every other folder speaks. stdlib, numpy and pydantic only."""
