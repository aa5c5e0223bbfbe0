"""`YoloNAS.predict`: anything that holds pictures in, results that can be drawn out."""
