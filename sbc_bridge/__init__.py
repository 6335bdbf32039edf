"""The trunk to the PSTN through the site's SBC, and emergency calls."""
