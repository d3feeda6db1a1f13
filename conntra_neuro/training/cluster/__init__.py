"""The blocks gear on several machines: Dask workers hold the samples in parts, one process makes the moves.

shards.py    what goes to a worker and back, and what a worker does; knows no transport
samples.py   the training samples in parts, as the gear asks for them; knows no transport
workers.py   Dask workers as holders of the parts
address.py   what an address means, certificates included; knows no transport
connect.py   schedulers, and worker processes on this machine
load.py      imports the two above, which import Dask; the way in
"""
