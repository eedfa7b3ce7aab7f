"""Tables, figures and the HTML report. Free of torch."""
