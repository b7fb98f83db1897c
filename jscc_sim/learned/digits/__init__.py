"""The coder of digits: as a codec with dither, and as analog symbols."""
