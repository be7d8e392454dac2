"""The shop's products, for templates: read from a file or a database when templates are loaded, and kept in memory."""
