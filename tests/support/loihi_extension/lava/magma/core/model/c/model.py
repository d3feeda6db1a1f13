"""Stand-ins: no process here has a model of these kinds."""


class AbstractCProcessModel:
    pass


class CLoihiProcessModel(AbstractCProcessModel):
    pass
