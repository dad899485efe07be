"""Every page of the site, reached by its links, looked at wide and narrow, light and dark."""
