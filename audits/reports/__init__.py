"""The report of a case as PDF: values in, bytes out. reportlab is imported here and nowhere else."""
