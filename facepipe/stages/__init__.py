"""The steps between a photo and its faces: Arrow in, arrays, one algorithm, Arrow out."""
