"""Commands of the command line, one module a topic; heavy imports wait inside the functions."""
