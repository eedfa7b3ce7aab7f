"""Commands that a person runs beside the pipeline, one module a topic; heavy imports wait for their command."""
