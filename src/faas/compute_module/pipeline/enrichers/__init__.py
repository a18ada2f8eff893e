"""What can be asked about an e-mail address, one file per way of asking."""
