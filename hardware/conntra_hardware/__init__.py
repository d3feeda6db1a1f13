"""A chip that programs can run on: its limits, its simulators, its energy. It knows nothing of training or datasets."""
