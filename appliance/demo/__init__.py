"""`holdfast demo`: a site loses its cloud before your eyes, and every claim is checked."""
