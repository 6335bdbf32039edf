"""The minimal PBX: who registers, who calls whom, and in which mode."""
