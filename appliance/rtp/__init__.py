"""RTP and RTCP packets (RFC 3550), without I/O."""
