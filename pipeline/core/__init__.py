"""The ground floor: the words that every other folder speaks. Imports the standard library, numpy,
pydantic and msgspec; cv2 and fastavro where they are used."""
