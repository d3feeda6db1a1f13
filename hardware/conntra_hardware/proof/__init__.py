"""Evidence that simulators agree: verification, certificates, diagnosis, fuzzing, shrinking."""
