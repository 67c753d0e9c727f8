"""What a number of policies costs each verdict, measured on this machine."""
