"""Why a backend differs: every known cause is held against the whole recording, and the one that explains it named.

Each layer is judged on the spikes that its own backend recorded below it, so that a mistake counts once, in the layer
where it is made. A cause explains a layer when the forward pass with that mistake gives the recording, value for value.
"""

from conntra_hardware.proof.diagnosis.diagnose import Diagnosis, Finding, diagnose

__all__ = ["Diagnosis", "Finding", "diagnose"]
