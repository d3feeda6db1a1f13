"""What every room stands on: errors, arrays, files, citations, bit words."""
