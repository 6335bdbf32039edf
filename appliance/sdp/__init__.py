"""SDP (RFC 8866), offer/answer (RFC 3264) and SDES (RFC 4568), without I/O."""
