"""Stand-in: no process here has a model of this kind, so that all run on the CPU."""


class AbstractNcProcessModel:
    pass
