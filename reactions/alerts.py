"""Who is told of an alert, until someone acknowledges."""
