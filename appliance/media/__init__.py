"""The media plane: where audio passes from leg to leg."""
