"""The reference cloud: an HTTPS API and two SIP zones whose failures can be commanded."""
