"""The whole appliance in one encrypted file, and back again."""
