"""Stand-ins for the profilers, with numbers to be read that no board ever gave."""

import numpy as np
from lava.magma.core.callback_fx import NxSdkCallbackFx


class _Callback(NxSdkCallbackFx):
    def pre_run_callback(self, board=None, var_id_to_var_model_map=None):
        pass

    def post_run_callback(self, board=None, var_id_to_var_model_map=None):
        pass


class Loihi2Power(_Callback):
    def __init__(self, num_steps):
        self.num_steps = num_steps
        self.total_power = np.array([1.0, 1.5, 2.0])
        self.static_total_power = 1.2
        self.vdd_power = np.array([0.5, 0.7])
        self.vddm_power = np.array([0.25])
        self.vddio_power = np.array([0.125])


class Loihi2ExecutionTime(_Callback):
    def __init__(self):
        self.avg_time_per_step = 40.0  # microseconds
        self.host_time_per_step = np.array([10.0, 30.0])


class Loihi2Activity(_Callback):
    def __init__(self):
        self.chip_idx = np.array([0, 0, 1])
        self.core_idx = np.array([0, 1, 0])
        self.syn_ops = np.array([100, 20, 3])
        self.dendrite_updates = np.array([10, 2, 3])
        self.axon_out = np.array([7, 0, 0])
