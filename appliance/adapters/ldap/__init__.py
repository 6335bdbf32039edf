"""The directory for desk phones: slapd on a database made from the bundle, behind our door."""
